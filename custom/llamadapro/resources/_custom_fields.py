"""Custom fields: definitions, and the options of list fields (sections v1/custom-field-…)."""

from __future__ import annotations

from functools import cached_property
from typing import Unpack

from llamadapro_api import api, models

from .._pagination import AsyncPaginator
from ._base import Resource


class CustomFields(Resource, section="custom_fields"):
    """Fields that a tenant adds to its records."""

    @cached_property
    def definitions(self) -> CustomFieldDefinitions:
        """The fields themselves."""
        return CustomFieldDefinitions(self._session)

    @cached_property
    def options(self) -> CustomFieldOptions:
        """The choices of fields of type LIST."""
        return CustomFieldOptions(self._session)


class CustomFieldDefinitions(Resource, section="custom_fields.definitions"):
    """The fields that records of an entity type have in addition to the built-in ones."""

    def list(
        self,
        *,
        max_items: int | None = None,
        prefetch: bool = False,
        **query: Unpack[models.GetCustomFieldDefinitionsQuery],
    ) -> AsyncPaginator[models.CustomFieldDefinition]:
        """List definitions (GetCustomFieldDefinitions); keywords: `GetCustomFieldDefinitionsQuery`.

        Example: ``definitions = await client.custom_fields.definitions.list(sort_by="fieldKey=asc").collect()``
        """
        return self._paginate(api.get_custom_field_definitions, query, max_items=max_items, prefetch=prefetch)

    async def create(self, **fields: Unpack[models.CreateCustomFieldDefinitionBody]) -> models.CustomFieldDefinition:
        """Create a definition (CreateCustomFieldDefinition); keywords: `CreateCustomFieldDefinitionBody`.

        Example::

            await client.custom_fields.definitions.create(
                entity_type="CONTACT", field_key="shirt_size", field_label="Shirt size", field_type="LIST"
            )
        """
        return await self._send(api.create_custom_field_definition, **fields)

    async def get(self, definition_id: int | str, /) -> models.CustomFieldDefinition:
        """Get one definition (GetCustomFieldDefinition).

        Example: ``definition = await client.custom_fields.definitions.get(3)``
        """
        return await self._send(api.get_custom_field_definition, definition_id)

    async def update(
        self, definition_id: int | str, /, **fields: Unpack[models.UpdateCustomFieldDefinitionBody]
    ) -> models.CustomFieldDefinition:
        """Change the given properties of a definition (UpdateCustomFieldDefinition).

        Keywords: `UpdateCustomFieldDefinitionBody`. Example::

            await client.custom_fields.definitions.update(3, field_label="T-shirt size")
        """
        return await self._send(api.update_custom_field_definition, definition_id, **fields)

    async def delete(
        self, definition_id: int | str, /, **query: Unpack[models.DeleteCustomFieldDefinitionQuery]
    ) -> models.CustomFieldDefinition:
        """Delete a definition permanently (DeleteCustomFieldDefinition), and return it.

        Raises `ConflictError` while records have values for it; `force=True` deletes these too. Example::

            await client.custom_fields.definitions.delete(3, force=True)
        """
        return await self._send(api.delete_custom_field_definition, definition_id, **query)


class CustomFieldOptions(Resource, section="custom_fields.options"):
    """The choices of a field of type LIST."""

    def list(
        self,
        definition_id: int | str,
        /,
        *,
        max_items: int | None = None,
        prefetch: bool = False,
        **query: Unpack[models.GetCustomFieldListOptionsQuery],
    ) -> AsyncPaginator[models.CustomFieldListOption]:
        """List the options of a definition (GetCustomFieldListOptions); keywords: `GetCustomFieldListOptionsQuery`.

        Example: ``options = await client.custom_fields.options.list(3).collect()``
        """
        return self._paginate(
            api.get_custom_field_list_options, query, definition_id, max_items=max_items, prefetch=prefetch
        )

    async def create(
        self, definition_id: int | str, /, **fields: Unpack[models.CreateCustomFieldListOptionBody]
    ) -> models.CustomFieldListOption:
        """Add an option (CreateCustomFieldListOption); keywords: `CreateCustomFieldListOptionBody`.

        Example: ``await client.custom_fields.options.create(3, value="XL", label="Extra large")``
        """
        return await self._send(api.create_custom_field_list_option, definition_id, **fields)

    async def get(self, definition_id: int | str, option_id: int | str, /) -> models.CustomFieldListOption:
        """Get one option (GetCustomFieldListOption).

        Example: ``option = await client.custom_fields.options.get(3, 8)``
        """
        return await self._send(api.get_custom_field_list_option, definition_id, option_id)

    async def update(
        self,
        definition_id: int | str,
        option_id: int | str,
        /,
        **fields: Unpack[models.UpdateCustomFieldListOptionBody],
    ) -> models.CustomFieldListOption:
        """Change how an option is displayed (UpdateCustomFieldListOption); keywords: `UpdateCustomFieldListOptionBody`.

        Example: ``await client.custom_fields.options.update(3, 8, label="X-Large")``
        """
        return await self._send(api.update_custom_field_list_option, definition_id, option_id, **fields)

    async def delete(self, definition_id: int | str, option_id: int | str, /) -> models.CustomFieldListOption:
        """Delete an option (DeleteCustomFieldListOption), and return it; records that use it are affected.

        Example: ``await client.custom_fields.options.delete(3, 8)``
        """
        return await self._send(api.delete_custom_field_list_option, definition_id, option_id)
