"""WhatsApp messages and media (sections v1/messages and v1/whatsapp)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from llamadapro_api.api.v1messages.get_message import get_message
from llamadapro_api.api.v1whatsapp.create_message import CreateMessageBody, CreateMessageOptions, create_message
from llamadapro_api.api.v1whatsapp.create_template_message import create_template_message
from llamadapro_api.api.v1whatsapp.upload_media import UploadMediaBody, upload_media

from ..errors import InvalidRequestError
from .resource import Resource

if TYPE_CHECKING:
    from typing import Unpack

    from llamadapro_api.models import Media, Message, WhatsAppTemplateMessageVariableDict


class Messages(Resource):
    """WhatsApp messages. Numbers are E.164, or national with the client's `default_region`.

    A message is never sent twice: where an answer was lost, the error's `may_have_been_processed` says so.
    """

    async def get(self, message_id: int | str, /) -> Message:
        """Get one message with its status (GetMessage)."""
        return await self._send(get_message, message_id)

    async def send(self, **fields: Unpack[CreateMessageBody]) -> Message:
        """Send a free-form message of any type (CreateMessage); keywords: `CreateMessageBody`."""
        self._check_numbers(fields, "from_phone_number", "to_phone_number")
        return await self._send(create_message, **fields)

    async def send_text(self, *, to: str, text: str, from_: str, **options: Unpack[CreateMessageOptions]) -> Message:
        """Send a text (CreateMessage with type ``text``). Further keywords: `CreateMessageOptions`.

        Raises `InvalidPhoneNumberError` before any network use. Example::

            await client.messages.send_text(to="+14155552671", from_="+56912345678", text="Hi Jane")
        """
        to, from_ = self._numbers(to, from_)
        return await self._send(
            create_message, to_phone_number=to, from_phone_number=from_, content=text, type_="text", **options
        )

    async def send_template(
        self,
        *,
        to: str,
        from_: str,
        template_name: str,
        language_code: str,
        variables: Sequence[str | WhatsAppTemplateMessageVariableDict] | None = None,
        components: Sequence[Mapping[str, Any]] | None = None,
        user_id: str | None = None,
        custom_fields: Mapping[str, Any] | None = None,
    ) -> Message:
        """Send a template that WhatsApp has approved (CreateTemplateMessage).

        Give `variables` (the texts of the body, in their order) or `components` (headers, buttons, media), not both;
        a template without any takes neither. Example::

            await client.messages.send_template(
                to="+14155552671", from_="+56912345678",
                template_name="welcome", language_code="en", variables=["Jane"],
            )
        """
        if variables is not None and components is not None:
            raise InvalidRequestError("give variables or components, not both: the service takes one of the two")
        options: dict[str, Any] = {"components": components, "user_id": user_id, "custom_fields": custom_fields}
        if variables is not None:
            options["variables"] = [{"value": item} if isinstance(item, str) else item for item in variables]
        to, from_ = self._numbers(to, from_)
        return await self._send(
            create_template_message,
            to_phone_number=to,
            from_phone_number=from_,
            template_name=template_name,
            language_code=language_code,
            **{name: value for name, value in options.items() if value is not None},
        )

    async def upload_media(self, **fields: Unpack[UploadMediaBody]) -> Media:
        """Upload media for WhatsApp (UploadMedia); keywords: `UploadMediaBody`.

        Give `file_id` (a file the service has), or `file_name`, `content_type` and `content` (base64).
        """
        self._check_numbers(fields, "from_phone_number")
        return await self._send(upload_media, **fields)
