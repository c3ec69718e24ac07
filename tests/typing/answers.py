"""What a type checker must say of answers and errors: a value or None, never a marker for what is absent.

Checked by `make types`, never run; see `calls.py` for what `type: ignore` proves.
"""

# pyright: strict, reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from datetime import datetime
from typing import Any, assert_type

import httpx

from llamadapro import (
    APIConnectionError,
    APIError,
    APIResponseValidationError,
    APIStatusError,
    APITimeoutError,
    InternalServerError,
    InvalidPhoneNumberError,
    InvalidRequestError,
    LlamadaProError,
    NotFoundError,
    RateLimitError,
    WaitTimeoutError,
)
from llamadapro.models import BulkResult, Call, Contact, Message, Task


def models(contact: Contact, task: Task, message: Message, call: Call, result: BulkResult) -> None:
    assert_type(contact.id, int)
    assert_type(contact.first_name, str | None)
    assert_type(contact.created_at, datetime | None)
    assert_type([one.address for one in contact.addresses or ()], list[str | None])
    assert_type(contact.is_set("first_name"), bool)
    assert_type(contact.to_dict(), dict[str, Any])
    assert_type(contact.additional_properties, dict[str, Any])
    assert_type(task.id, str)
    assert_type(task.due_date, datetime | None)
    assert_type(call.duration, float | None)
    assert_type(call.from_, str | None)
    if (report := result.report) and (counts := report.counts):
        assert_type(counts.successful, int | None)
    if message.status == "delivered":  # known values complete in an editor; any other text is one as well
        pass
    status: str | None = message.status

    print(contact.fist_name)  # type: ignore[attr-defined]
    print(contact.created_at.year)  # type: ignore[union-attr]
    contact.first_name.upper()  # type: ignore[union-attr]
    name: str = contact.first_name  # type: ignore[assignment]
    print(status, name)


def errors(error: LlamadaProError) -> None:
    if isinstance(error, APIError):
        assert_type(error.request, httpx.Request)
        assert_type(error.may_have_been_processed, bool)
    if isinstance(error, APIStatusError):
        assert_type(error.status_code, int)
        assert_type(error.code, int | str | None)
        assert_type(error.message, str)
        assert_type(error.request_id, str | None)
        assert_type(error.response, httpx.Response)
        assert_type(error.retry_after, float | None)
    if isinstance(error, APIResponseValidationError):
        assert_type(error.place, str)

    print(error.status_code)  # type: ignore[attr-defined]


def families() -> None:
    """Which class may stand for which."""
    status: list[type[APIStatusError]] = [RateLimitError, NotFoundError, InternalServerError]
    network: type[APIConnectionError] = APITimeoutError
    late: list[type[TimeoutError]] = [APITimeoutError, WaitTimeoutError]
    wrong: list[type[ValueError]] = [InvalidRequestError, InvalidPhoneNumberError]
    print(status, network, late, wrong)

    api: type[APIError] = InvalidRequestError  # type: ignore[assignment]
    answered: type[APIStatusError] = APIConnectionError  # type: ignore[assignment]
    print(api, answered)
