"""Contacts: people and their addresses (section v1/contacts)."""

from __future__ import annotations

from typing import Unpack

from llamadapro_api import api, models

from .._pagination import AsyncPaginator
from ._base import Resource


class Contacts(Resource, section="contacts"):
    """People, and their addresses."""

    def list(
        self, *, max_items: int | None = None, prefetch: bool = False, **query: Unpack[models.GetContactsQuery]
    ) -> AsyncPaginator[models.Contact]:
        """List contacts (GetContacts); keywords: `GetContactsQuery`.

        Example::

            async for contact in client.contacts.list(filter_by="firstName:Jane", page_size=100):
                print(contact.id, contact.first_name)
        """
        return self._paginate(api.get_contacts, query, max_items=max_items, prefetch=prefetch)

    def search(
        self, *, max_items: int | None = None, prefetch: bool = False, **body: Unpack[models.SearchContactsBody]
    ) -> AsyncPaginator[models.ContactSearchHit]:
        """Search all contacts (SearchContacts); keywords: `SearchContactsBody`.

        A POST that changes nothing, so it is retried like a read. Example::

            hits = client.contacts.search(
                filters=[{"field": "addresses.address", "operator": "eq", "value": "+56912345678"}],
                sort=[{"field": "createdAt", "direction": "desc"}],
            )
        """
        return self._paginate(api.search_contacts, body, max_items=max_items, prefetch=prefetch)

    async def create(self, **fields: Unpack[models.CreateContactBody]) -> models.Contact:
        """Create a contact (CreateContact); keywords: `CreateContactBody`.

        Example::

            await client.contacts.create(
                first_name="Jane", addresses=[{"channel_type": "PHONE", "address": "+56912345678"}]
            )
        """
        return await self._send(api.create_contact, **fields)

    async def get(self, contact_id: int | str, /) -> models.Contact:
        """Get one contact (GetContact); raises `NotFoundError` if there is none.

        Example: ``contact = await client.contacts.get(17)``
        """
        return await self._send(api.get_contact, contact_id)

    async def update(self, contact_id: int | str, /, **fields: Unpack[models.UpdateContactBody]) -> models.Contact:
        """Change the given fields of a contact (UpdateContact); keywords: `UpdateContactBody`.

        A field that is not given stays as it is; None clears it. Example::

            await client.contacts.update(17, company_position="CTO", national_id=None)
        """
        return await self._send(api.update_contact, contact_id, **fields)

    async def delete(self, contact_id: int | str, /) -> models.Contact:
        """Delete a contact permanently (DeleteContact), and return it.

        Example: ``await client.contacts.delete(17)``
        """
        return await self._send(api.delete_contact, contact_id)
