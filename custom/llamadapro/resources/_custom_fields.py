"""Custom fields: definitions, and the options of list fields (sections v1/custom-field-…)."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from llamadapro_api import api

from ._base import Resource

if TYPE_CHECKING:
    from typing import Unpack

    from llamadapro_api.models import (
        CreateCustomFieldDefinitionBody,
        CreateCustomFieldListOptionBody,
        CustomFieldDefinition,
        CustomFieldListOption,
        DeleteCustomFieldDefinitionQuery,
        GetCustomFieldDefinitionsQuery,
        GetCustomFieldListOptionsQuery,
        UpdateCustomFieldDefinitionBody,
        UpdateCustomFieldListOptionBody,
    )

    from .._pagination import AsyncPaginator


class CustomFields(Resource):
    """Fields that a tenant adds to its records."""

    @cached_property
    def definitions(self) -> CustomFieldDefinitions:
        """The fields themselves."""
        return CustomFieldDefinitions(self._client)

    @cached_property
    def options(self) -> CustomFieldOptions:
        """The choices of fields of type LIST."""
        return CustomFieldOptions(self._client)


class CustomFieldDefinitions(Resource):
    """The fields that records of a kind have beside the built-in ones."""

    def list(
        self, *, max_items: int | None = None, prefetch: bool = False, **query: Unpack[GetCustomFieldDefinitionsQuery]
    ) -> AsyncPaginator[CustomFieldDefinition]:
        """List definitions (GetCustomFieldDefinitions); keywords: `GetCustomFieldDefinitionsQuery`."""
        return self._paginate(api.get_custom_field_definitions, query, max_items=max_items, prefetch=prefetch)

    async def create(self, **fields: Unpack[CreateCustomFieldDefinitionBody]) -> CustomFieldDefinition:
        """Create a definition (CreateCustomFieldDefinition); keywords: `CreateCustomFieldDefinitionBody`.

        Example::

            await client.custom_fields.definitions.create(
                entity_type="CONTACT", field_key="shirt_size", field_label="Shirt size", field_type="LIST"
            )
        """
        return await self._send(api.create_custom_field_definition, **fields)

    async def get(self, definition_id: int | str, /) -> CustomFieldDefinition:
        """Get one definition (GetCustomFieldDefinition)."""
        return await self._send(api.get_custom_field_definition, definition_id)

    async def update(
        self, definition_id: int | str, /, **fields: Unpack[UpdateCustomFieldDefinitionBody]
    ) -> CustomFieldDefinition:
        """Change the given properties of a definition (UpdateCustomFieldDefinition)."""
        return await self._send(api.update_custom_field_definition, definition_id, **fields)

    async def delete(
        self, definition_id: int | str, /, **query: Unpack[DeleteCustomFieldDefinitionQuery]
    ) -> CustomFieldDefinition:
        """Delete a definition for good (DeleteCustomFieldDefinition); returns what was deleted.

        Raises `ConflictError` while records have values for it, unless `force=True` deletes these too.
        """
        return await self._send(api.delete_custom_field_definition, definition_id, **query)


class CustomFieldOptions(Resource):
    """The choices of a field of type LIST."""

    def list(
        self,
        definition_id: int | str,
        /,
        *,
        max_items: int | None = None,
        prefetch: bool = False,
        **query: Unpack[GetCustomFieldListOptionsQuery],
    ) -> AsyncPaginator[CustomFieldListOption]:
        """List the options of a definition (GetCustomFieldListOptions)."""
        return self._paginate(
            api.get_custom_field_list_options, query, definition_id, max_items=max_items, prefetch=prefetch
        )

    async def create(
        self, definition_id: int | str, /, **fields: Unpack[CreateCustomFieldListOptionBody]
    ) -> CustomFieldListOption:
        """Add an option (CreateCustomFieldListOption); example: ``create(3, value="XL", label="Extra large")``."""
        return await self._send(api.create_custom_field_list_option, definition_id, **fields)

    async def get(self, definition_id: int | str, option_id: int | str, /) -> CustomFieldListOption:
        """Get one option (GetCustomFieldListOption)."""
        return await self._send(api.get_custom_field_list_option, definition_id, option_id)

    async def update(
        self, definition_id: int | str, option_id: int | str, /, **fields: Unpack[UpdateCustomFieldListOptionBody]
    ) -> CustomFieldListOption:
        """Change how an option shows (UpdateCustomFieldListOption)."""
        return await self._send(api.update_custom_field_list_option, definition_id, option_id, **fields)

    async def delete(self, definition_id: int | str, option_id: int | str, /) -> CustomFieldListOption:
        """Delete an option (DeleteCustomFieldListOption); records that use it are affected."""
        return await self._send(api.delete_custom_field_list_option, definition_id, option_id)
