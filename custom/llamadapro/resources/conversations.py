"""Conversations in sales funnels, one or many at a time (section v1/conversations)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from llamadapro_api.api.v1conversations.bulk_create import bulk_create
from llamadapro_api.api.v1conversations.bulk_update import bulk_update
from llamadapro_api.api.v1conversations.create import CreateConversationBody, create

from .resource import Resource

if TYPE_CHECKING:
    from typing import Unpack

    from llamadapro_api.models import (
        BulkResult,
        BulkSingleConversationCreateParamsDict,
        BulkSingleConversationUpdateParamsDict,
        Conversation,
    )


class Conversations(Resource):
    """Conversations in sales funnels."""

    async def create(self, **fields: Unpack[CreateConversationBody]) -> Conversation:
        """Create one conversation and get it back whole (Create); keywords: `CreateConversationBody`.

        Give `contact_id`, or `contact`, whose addresses decide whether a known contact is updated or a new one made.
        Example::

            await client.conversations.create(
                funnel_id=3, contact={"first_name": "Jane", "phones": ["+56912345678"]}
            )
        """
        return await self._send(create, **fields)

    async def bulk_create(
        self, items: Iterable[BulkSingleConversationCreateParamsDict | Mapping[str, Any]], /
    ) -> BulkResult:
        """Create many conversations in one request (BulkCreate).

        Good items are created even where others are not: read ``result.report``, whose ``items_issues`` name the
        items by their index. Keys the document does not know go along as they are. Never sent twice.
        """
        return await self._send(bulk_create, conversations=[*items])

    async def bulk_update(
        self, items: Iterable[BulkSingleConversationUpdateParamsDict | Mapping[str, Any]], /
    ) -> BulkResult:
        """Change many conversations in one request (BulkUpdate); each item has its ``id``. As `bulk_create`."""
        return await self._send(bulk_update, conversations=[*items])
