"""The sections of the API, as classes; a client has one of each: ``client.contacts`` is a `Contacts`."""

from typing import TYPE_CHECKING

from .._lazy import lazy_names

if TYPE_CHECKING:
    from ._calls import Calls as Calls
    from ._contacts import Contacts as Contacts
    from ._conversations import Conversations as Conversations
    from ._custom_fields import CustomFieldDefinitions as CustomFieldDefinitions
    from ._custom_fields import CustomFieldOptions as CustomFieldOptions
    from ._custom_fields import CustomFields as CustomFields
    from ._messages import Messages as Messages
    from ._recordings import Recordings as Recordings
    from ._tasks import Tasks as Tasks

__all__ = [
    "Calls",
    "Contacts",
    "Conversations",
    "CustomFieldDefinitions",
    "CustomFieldOptions",
    "CustomFields",
    "Messages",
    "Recordings",
    "Tasks",
]

if not TYPE_CHECKING:  # a checker that saw it would take any misspelt name for one of ours
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "Calls": "._calls",
            "Contacts": "._contacts",
            "Conversations": "._conversations",
            "CustomFieldDefinitions": "._custom_fields",
            "CustomFieldOptions": "._custom_fields",
            "CustomFields": "._custom_fields",
            "Messages": "._messages",
            "Recordings": "._recordings",
            "Tasks": "._tasks",
        },
        globals(),
    )
