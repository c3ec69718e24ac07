"""The records that the server answers with and the clients send; complete ones, every documented field there."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

LAST_MESSAGE = {
    "id": "msg_501",
    "tenantId": "tenant_9",
    "conversationId": "conv_77",
    "contactId": 1001,
    "content": "Hi Jane",
    "type": "text",
    "status": "pending",
    "createdAt": "2026-02-10T09:30:00.000Z",
}
"""The answer to a message sent."""


def contact(number: int) -> dict[str, Any]:
    """A contact with two addresses; 850 bytes of JSON."""
    made = "2026-02-10T09:30:00.000Z"
    return {
        "id": number,
        "tenantId": "tenant_9",
        "providerId": f"crm-{number}",
        "providerName": "crm",
        "nationalId": "12345678-5",
        "firstName": "Jane",
        "lastName": "Doe",
        "email": None,
        "phone": None,
        "userId": 17,
        "contactCompanyId": 301,
        "companyPosition": "Buyer",
        "metadata": {"importedBy": "csv"},
        "createdAt": made,
        "updatedAt": "2026-02-11T08:00:00.123Z",
        "customFields": {"source": "web"},
        "addresses": [
            {
                "id": number * 2 + place,
                "tenantId": "tenant_9",
                "contactId": number,
                "channelType": kind,
                "address": address,
                "createdAt": made,
                "updatedAt": made,
            }
            for place, (kind, address) in enumerate([("PHONE", "+56912345678"), ("EMAIL", "jane@example.org")])
        ],
    }


def contact_page(count: int, start: int = 1, total: int | None = None) -> dict[str, Any]:
    total = count if total is None else total
    end = min(start + count, total + 1)
    page: dict[str, Any] = {"items": [contact(number) for number in range(start, end)], "totalCount": total}
    return page | ({"nextPageToken": str(end)} if end <= total else {})


def sparse_page(count: int) -> dict[str, Any]:
    """Contacts that lack 4 of their 17 fields, as most services leave out what they have no value for."""
    page = contact_page(count)
    for item in page["items"]:
        for name in ("email", "phone", "providerId", "providerName"):
            del item[name]
    return page


def conversation(number: int) -> dict[str, Any]:
    """One item of a bulk request, as a user of ours writes it."""
    return {
        "created_at": datetime(2026, 2, 15, 10, tzinfo=UTC) + timedelta(seconds=number),
        "user_id": 17,
        "funnel_id": 5,
        "funnel_status_id": 51,
        "archived_at": None,
        "custom_fields": {"source": "web"},
        "contact": {
            "first_name": "Jane",
            "last_name": "Doe",
            "phones": [f"+569{number:08d}"],
            "emails": ["jane@example.org"],
            "national_id": "12345678-5",
            "company_position": "Buyer",
            "custom_fields": {"language": "es"},
            "user_id": 17,
        },
    }


def openai_files() -> dict[str, Any]:
    """A list of twenty, as OpenAI's service answers."""
    one = {"object": "file", "bytes": 120_000, "created_at": 1_700_000_000, "filename": "a.jsonl", "purpose": "batch"}
    files = [{"id": f"file-{number}", "status": "processed", **one} for number in range(20)]
    return {"object": "list", "data": files, "has_more": False, "first_id": "file-0", "last_id": "file-19"}


def github_labels() -> list[dict[str, Any]]:
    """A list of twenty, as GitHub's service answers."""
    one: dict[str, Any] = {
        "description": "Something is wrong",
        "color": "d73a4a",
        "default": False,
        "node_id": "MDU6TGFiZWwx",
    }
    one |= {"archived_at": None, "archived_by": None}
    return [
        {"id": number, "name": f"bug-{number}", "url": f"https://api.github.com/labels/bug-{number}", **one}
        for number in range(20)
    ]


def stripe_customers() -> dict[str, Any]:
    """A list of twenty, as Stripe's service answers."""
    one = {
        "object": "customer",
        "address": None,
        "balance": 0,
        "created": 1_700_000_000,
        "currency": "usd",
        "default_source": None,
        "delinquent": False,
        "description": None,
        "email": "jane@example.org",
        "invoice_prefix": "ABCDEF",
        "livemode": False,
        "metadata": {"source": "web"},
        "name": "Jane Doe",
        "phone": None,
        "preferred_locales": [],
        "shipping": None,
        "tax_exempt": "none",
    }
    customers = [{"id": f"cus_{number}", **one} for number in range(20)]
    return {"object": "list", "url": "/v1/customers", "has_more": False, "data": customers}
