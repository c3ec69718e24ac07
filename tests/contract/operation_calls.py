"""How each operation of openapi.yaml is called through the public client, and with what: all that it documents.

The one table of operations: scenarios.py compares what comes back from the sandbox with what is written here, prism.py
has Prism judge the requests. A new operation needs its entry in `OPERATION_CALLS`, and no other.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from llamadapro import AsyncLlamadaPro

Fields = dict[str, Any]

# --- what is sent ------------------------------------------------------------------------------------------------

OUR_NUMBER = "+56221234567"
SANTIAGO = timezone(timedelta(hours=-3))


@dataclass(frozen=True, kw_only=True)
class Given:
    """What calls refer to. A server with a memory has its own ids; the defaults do for one without."""

    tag: int = 1
    """Makes keys, names and telephone numbers differ from those of other entries."""
    tenant: str = "tenant_9"
    page: int = 1
    page_token: str | None = None
    contact: int = 1001
    conversation: int = 4711
    definition: int = 71
    option: int = 711
    call: int = 9001
    recording: int = 3001
    task: str = "task_123"
    message: str = "msg_501"
    file: str = "file_900"

    @property
    def number(self) -> str:
        return f"+569{self.tag:08}"

    @property
    def email(self) -> str:
        return f"jane.{self.tag}@example.org"

    @property
    def surname(self) -> str:
        return f"Gómez-Ñandú {self.tag}"


def task(given: Given) -> Fields:
    return {
        "context": {"conversation_id": given.conversation},
        "objective": "Send the proposal – «hoy», 100 % 🦙",
        "created_by": {"type_": "user", "id": "17"},
        "assigned_to": {"type_": "ai_employee", "id": f"ai-{given.tag}"},
        "due_date": datetime(2060, 2, 15, 10, 30, 15, 250_000, tzinfo=SANTIAGO),
        "status": "scheduled",
    }


def task_changes(given: Given) -> Fields:
    return {
        "status": "cancelled",
        "context": {"conversation_id": given.conversation + 1},
        "objective": "Send nothing",
        "assigned_to": {"type_": "user", "id": "23"},
        "published_at": datetime(2026, 2, 10, 9, 31, tzinfo=UTC),
        "due_date": datetime(2061, 3, 1, tzinfo=UTC),
        "completed_at": None,
        "cancelled_at": datetime(2026, 2, 12, 16, 45, 0, 123_000, tzinfo=UTC),
        "cancellation_reason": "The client asked to wait until March",
    }


def task_query(given: Given) -> Fields:
    return {
        "limit": 2,
        "status": "scheduled",
        "due_before": datetime(2060, 2, 15, 10, 30, 16, tzinfo=SANTIAGO),
        "due_after": datetime(2060, 2, 15, 13, 30, 15, tzinfo=UTC),
        "conversation_id": given.conversation,
        "assigned_to_type": "ai_employee",
        "assigned_to_id": f"ai-{given.tag}",
        **_from_page(given),
    }


def loaded_recording(given: Given) -> Fields:
    return {
        "user_id": 17,
        "url": f"https://files.example.org/calls/{given.tag}.mp3?signature=a%2Fb&part=1",
        "call_to": OUR_NUMBER,
        "call_from": given.number,
        "call_direction": "incoming",
        "call_start_time": "2026-02-14T15:00:00.000Z",
    }


def person(given: Given) -> Fields:
    """A contact as conversations describe it."""
    return {
        "first_name": "Jane",
        "last_name": given.surname,
        "phones": [given.number],
        "emails": [given.email],
        "national_id": "12345678-5",
        "company_position": "Buyer",
        "custom_fields": {"language": "es", "levels": [1, 2.5, None, {"deep": True}]},
        "user_id": 17,
    }


def conversation(given: Given) -> Fields:
    return {
        "created_at": datetime(2026, 2, 15, 10, tzinfo=SANTIAGO),
        "user_id": 17,
        "funnel_id": 5,
        "funnel_status_id": 51,
        "archived_at": datetime(2026, 3, 1, 8, 15, tzinfo=UTC),
        "custom_fields": {"source": "web", "first_answer": None},
        "contact": person(given),
    }


def conversation_with(given: Given) -> Fields:
    """With a contact that is known, and null wherever it may be."""
    return {
        "funnel_id": 5,
        "contact_id": given.contact,
        "user_id": None,
        "funnel_status_id": None,
        "archived_at": None,
    }


UNKNOWN = 2**31 - 1
"""The id of nothing."""


def conversations(given: Given) -> list[Any]:
    """Two sound ones; one with a contact that does not exist; one that lacks everything and has what nobody knows."""
    return [
        conversation(given),
        conversation_with(given),
        {"funnel_id": 5, "contact_id": UNKNOWN},
        {"colour": "blue"},
    ]


def conversation_changes(given: Given) -> list[Any]:
    """One that changes everything, and one about a conversation that does not exist."""
    changed = {
        "id": given.conversation,
        "created_at": datetime(2026, 2, 16, 11, tzinfo=UTC),
        "user_id": 18,
        "funnel_status_id": 52,
        "archived_at": None,
        "custom_fields": {"source": "referral"},
        "contact": {
            "id": given.contact,
            "first_name": "Janet",
            "last_name": f"{given.surname} Pérez",
            "phones": [f"+5622{given.tag:07}"],
            "emails": [f"janet.{given.tag}@example.org"],
            "national_id": "8765432-1",
            "company_position": "Head of purchasing",
            "custom_fields": {"language": "en"},
            "user_id": 18,
        },
    }
    return [changed, {"id": UNKNOWN, "funnel_status_id": 52}]


def contact(given: Given) -> Fields:
    return {
        "user_id": 17,
        "custom_fields": {"source": "web", "score": 4.5, "tags": ["a", "b"], "none": None},
        "provider_id": f"crm-{given.tag}",
        "provider_name": "crm",
        "national_id": "12345678-5",
        "first_name": "Jane",
        "last_name": given.surname,
        "contact_company_id": 301,
        "company_position": "Buyer",
        "metadata": {"importedBy": "csv", "rows": [1, 2]},
        "created_at": datetime(2026, 2, 10, 9, 30, 0, 1000, tzinfo=UTC),
        "addresses": [
            {"channel_type": "PHONE", "address": given.number},
            {"channel_type": "WHATSAPP", "address": given.number},
            {"channel_type": "EMAIL", "address": given.email},
        ],
    }


def deprecated(given: Given) -> Fields:
    """Of a contact: what the document asks not to use any more."""
    return {"email": given.email, "phone": given.number}


def contact_changes(given: Given) -> Fields:
    return {
        "tenant_id": given.tenant,
        "created_at": datetime(2025, 12, 31, 23, 59, 59, tzinfo=UTC),
        "updated_at": datetime(2026, 1, 1, tzinfo=UTC),
        "user_id": 18,
        "custom_fields": {"source": "referral", "score": None},
        "metadata": ["anything", 1],
        "provider_id": None,
        "provider_name": "erp",
        "national_id": "8765432-1",
        "first_name": "Janet",
        "last_name": f"{given.surname} Pérez",
        "contact_company_id": 302,
        "company_position": "Head of purchasing",
        "addresses": [{"channel_type": "CARRIER_PIGEON", "address": f"tower {given.tag}"}],
    }


def contact_query(given: Given) -> Fields:
    return {
        "filter_by": f"lastName:{given.surname};firstName:Jane",
        "search_by": f"jane.{given.tag}@",
        "sort_by": "companyPosition=desc",
        "page": given.page,
        "page_size": 2,
        **_from_page(given),
    }


def contact_search(given: Given) -> Fields:
    return {
        "search": "gómez-ñandú",
        "filters": [
            {"field": "lastName", "operator": "eq", "value": given.surname},
            {"field": "addresses.address", "operator": "contains", "value": f"janet.{given.tag}", "or_": True},
        ],
        "sort": [{"field": "companyPosition", "direction": "desc"}, {"field": "createdAt", "direction": "asc"}],
        "size": 2,
        "include_archived": True,
        "include_total_count": True,
        **_from_page(given),
    }


def message(given: Given) -> Fields:
    return {
        "from_phone_number": OUR_NUMBER,
        "to_phone_number": given.number,
        "user_id": "17",
        "content": "The view from the office\n– «así» 🦙",
        "type_": "image",
        "custom_fields": {"orderId": 77},
        "file_id": given.file,
    }


def text_message(given: Given) -> Fields:
    return {
        "to": given.number,
        "from_": OUR_NUMBER,
        "text": "Your order is on its way.",
        "user_id": "17",
        "custom_fields": {"orderId": 78},
    }


def template(given: Given) -> Fields:
    return {
        "to": given.number,
        "from_": OUR_NUMBER,
        "template_name": "appointment_reminder",
        "language_code": "es_CL",
        "user_id": "17",
        "custom_fields": {"campaign": "reminders"},
    }


VARIABLES: list[Any] = [{"value": "Jane"}, {"value": "15:30"}]
COMPONENTS: list[Any] = [
    {
        "type_": "header",
        "parameters": [
            {"type_": "image", "image": {"id": "media_1", "link": "https://files.example.org/view.png"}},
            {"type_": "video", "video": {"link": "https://files.example.org/view.mp4"}},
            {
                "type_": "document",
                "document": {"id": "media_2", "link": "https://files.example.org/77.pdf", "filename": "77.pdf"},
            },
        ],
    },
    {
        "type_": "body",
        "parameters": [
            {"type_": "text", "text": "Jane"},
            {
                "type_": "currency",
                "currency": {"fallback_value": "CLP 45.990", "code": "CLP", "amount_1000": 45_990_000},
            },
            {"type_": "date_time", "date_time": {"fallback_value": "15 February 2026"}},
        ],
    },
    {
        "type_": "button",
        "sub_type": "quick_reply",
        "index": 0,
        "parameters": [{"type_": "payload", "payload": "PAID"}],
    },
]


def media(given: Given) -> Fields:
    return {
        "file_name": f"hello-{given.tag}.txt",
        "content_type": "text/plain",
        "from_phone_number": OUR_NUMBER,
        "content": "SGVsbG8=",
        "tags": {"campaign": "reminders"},
    }


def definition(given: Given, field_type: str = "LIST") -> Fields:
    return {
        "description": "How long somebody has been a customer",
        "entity_type": "CONTACT",
        "field_key": f"loyalty_{given.tag}",
        "field_label": "Loyalty level",
        "field_type": field_type,
    }


def definition_changes(given: Given) -> Fields:
    return {
        "tenant_id": given.tenant,
        "entity_type": "COMPANY",
        "field_key": f"fidelity_{given.tag}",
        "field_label": "Fidelity",
        "field_type": "STRING",
        "description": None,
        "created_at": datetime(2025, 12, 31, 23, 59, 59, tzinfo=UTC),
        "updated_at": datetime(2026, 1, 1, tzinfo=UTC),
    }


def definition_query(given: Given) -> Fields:
    return {
        "filter_by": "entityType:PRODUCT;fieldType:DATE",
        "search_by": f"season {given.tag}",
        "sort_by": "fieldLabel=desc",
        "page": given.page,
        "page_size": 2,
        "tenant_id": given.tenant,
        **_from_page(given),
    }


def option(given: Given) -> Fields:
    return {"value": "gold", "label": "Gold", "description": "Customers of more than three years"}


def option_changes(given: Given) -> Fields:
    return {
        "tenant_id": given.tenant,
        "value": "golden",
        "label": "Golden customer",
        "description": None,
        "created_at": datetime(2025, 12, 31, 23, 59, 59, tzinfo=UTC),
        "updated_at": datetime(2026, 1, 1, tzinfo=UTC),
    }


def option_query(given: Given) -> Fields:
    return {
        "filter_by": "description:metal",
        "search_by": "old",
        "sort_by": "value=desc",
        "page": given.page,
        "page_size": 2,
        "tenant_id": given.tenant,
        **_from_page(given),
    }


def bridge(given: Given) -> Fields:
    return {
        "to": given.number,
        "from_": OUR_NUMBER,
        "provider_data": {"carrier": "north", "lines": [1, 2]},
        "call_custom_data": {"orderId": "77"},
    }


def agent(given: Given) -> Fields:
    return {
        "voice_agent_id": 123,
        "to": given.number,
        "context_variables": {"customerFirstName": "Pedro", "customerLastName": "Gómez", "orders": [77]},
        "custom_data": {"orderId": "77"},
    }


def adhoc_agent(given: Given) -> Fields:
    return {
        "to": given.number,
        "from_": OUR_NUMBER,
        "objectives": ["Confirm the appointment of Tuesday", "Offer another day if it does not suit"],
        "user_id": 17,
        "personality": {
            "name": "Elena",
            "communication_style": "professional",
            "custom_traits": "Warm, brief, never pushy",
        },
        "localization": "CL",
        "constraints": ["Do not quote prices"],
        "contact_info": {
            "first_name": "Pedro",
            "last_name": "Gómez",
            "company": "Viñedos del Sur",
            "additional_info": {"plan": "premium"},
        },
        "knowledge_base": "The office is open from 9 to 18 on working days.",
        "task_steps": ["Greet", "Name the appointment", "Ask for confirmation"],
        "max_duration_seconds": 300,
        "silence_timeout_seconds": 20.5,
        "custom_data": {"campaign": "reminders"},
        "provider": "vapi",
        "provider_config": {
            "model": {"max_tokens": 250, "temperature": 0.4, "model": {"provider": "openai", "model": "gpt-4o"}},
            "voice": {
                "provider": "11labs",
                "voice_id": "elena-cl",
                "model": "eleven_turbo_v2_5",
                "speed": 1,
                "stability": 0.5,
                "style": 0.2,
                "optimize_streaming_latency": 3,
            },
            "transcriber": {
                "provider": "deepgram",
                "model": "nova-2",
                "localization": "CL",
                "confidence_threshold": 0.4,
                "keywords": ["LlamadaPro"],
            },
        },
    }


def past_call(given: Given) -> Fields:
    return {
        "status": "completed",
        "user_id": 17,
        "metadata": {"pbx": "north"},
        "provider_id": f"pbx-{given.tag}",
        "provider_name": "pbx",
        "custom_data": {"orderId": "77"},
        "funnel_conversation_id": given.conversation,
        "session_id": 8001,
        "from_": given.number,
        "to": OUR_NUMBER,
        "redirected_to": "+56229876543",
        "duration": 182.5,
        "direction": "incoming",
        "start_time": datetime(2026, 2, 14, 15, 0, 0, 500_000, tzinfo=SANTIAGO),
        "team_id": 3,
    }


def _from_page(given: Given) -> Fields:
    return {} if given.page_token is None else {"page_token": given.page_token}


# --- how it is sent ----------------------------------------------------------------------------------------------

OperationCall = Callable[[AsyncLlamadaPro, Given], Awaitable[Any]]

OPERATION_CALLS: dict[str, OperationCall] = {
    "StartAgentCallV2": lambda client, given: client.calls.start_adhoc_agent(**adhoc_agent(given)),
    "GetTasks": lambda client, given: client.tasks.list(**task_query(given)),
    "CreateTask": lambda client, given: client.tasks.create(**task(given)),
    "GetTask": lambda client, given: client.tasks.get(given.task),
    "UpdateTask": lambda client, given: client.tasks.update(given.task, **task_changes(given)),
    "UpdateTask/complete": lambda client, given: client.tasks.complete(given.task),
    "UpdateTask/cancel": lambda client, given: client.tasks.cancel(given.task, reason="Too late"),
    "DeleteTask": lambda client, given: client.tasks.delete(given.task),
    "GetRecording": lambda client, given: client.recordings.get(given.recording),
    "LoadRecording": lambda client, given: client.recordings.load(**loaded_recording(given)),
    "BulkCreate": lambda client, given: client.conversations.bulk_create(conversations(given)),
    "BulkUpdate": lambda client, given: client.conversations.bulk_update(conversation_changes(given)),
    "Create": lambda client, given: client.conversations.create(**conversation(given)),
    "Create/contact_id": lambda client, given: client.conversations.create(**conversation_with(given)),
    "GetContacts": lambda client, given: client.contacts.list(**contact_query(given)),
    "CreateContact": lambda client, given: client.contacts.create(**contact(given)),
    "CreateContact/deprecated": (lambda client, given: client.contacts.create(**contact(given), **deprecated(given))),
    "GetContact": lambda client, given: client.contacts.get(given.contact),
    "UpdateContact": lambda client, given: client.contacts.update(given.contact, **contact_changes(given)),
    "UpdateContact/deprecated": lambda client, given: client.contacts.update(given.contact, **deprecated(given)),
    "DeleteContact": lambda client, given: client.contacts.delete(given.contact),
    "SearchContacts": lambda client, given: client.contacts.search(**contact_search(given)),
    "GetMessage": lambda client, given: client.messages.get(given.message),
    "CreateTemplateMessage/variables": (
        lambda client, given: client.messages.send_template(**template(given), variables=VARIABLES)
    ),
    "CreateTemplateMessage/components": (
        lambda client, given: client.messages.send_template(**template(given), components=COMPONENTS)
    ),
    "CreateMessage": lambda client, given: client.messages.send(**message(given)),
    "CreateMessage/text": lambda client, given: client.messages.send_text(**text_message(given)),
    "UploadMedia": lambda client, given: client.messages.upload_media(**media(given)),
    "UploadMedia/file_id": (
        lambda client, given: client.messages.upload_media(file_id=given.file, from_phone_number=OUR_NUMBER)
    ),
    "GetCustomFieldListOptions": (
        lambda client, given: client.custom_fields.options.list(given.definition, **option_query(given))
    ),
    "CreateCustomFieldListOption": (
        lambda client, given: client.custom_fields.options.create(given.definition, **option(given))
    ),
    "GetCustomFieldListOption": (
        lambda client, given: client.custom_fields.options.get(given.definition, given.option)
    ),
    "UpdateCustomFieldListOption": (
        lambda client, given: client.custom_fields.options.update(
            given.definition, given.option, **option_changes(given)
        )
    ),
    "DeleteCustomFieldListOption": (
        lambda client, given: client.custom_fields.options.delete(given.definition, given.option)
    ),
    "GetCustomFieldDefinitions": lambda client, given: client.custom_fields.definitions.list(**definition_query(given)),
    "CreateCustomFieldDefinition": lambda client, given: client.custom_fields.definitions.create(**definition(given)),
    "GetCustomFieldDefinition": lambda client, given: client.custom_fields.definitions.get(given.definition),
    "UpdateCustomFieldDefinition": (
        lambda client, given: client.custom_fields.definitions.update(given.definition, **definition_changes(given))
    ),
    "DeleteCustomFieldDefinition": (
        lambda client, given: client.custom_fields.definitions.delete(given.definition, force=True)
    ),
    "StartBridgeCall": lambda client, given: client.calls.bridge(**bridge(given)),
    "StartAgentCall": lambda client, given: client.calls.start_agent(**agent(given)),
    "CreateCall": lambda client, given: client.calls.create(**past_call(given)),
    "GetCall": lambda client, given: client.calls.get(given.call),
    "GetCall/wait": lambda client, given: client.calls.wait(given.call, timeout=5),
    "GetCallTranscription": lambda client, given: client.calls.get_transcription(given.call),
    "GetCallRecording": lambda client, given: client.calls.get_recording(given.call),
}
"""By operationId, with what distinguishes a call after a slash where there are several."""


def operation_id(name: str) -> str:
    return name.partition("/")[0]
