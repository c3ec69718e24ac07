"""The error tree: who is whose kind, what each carries, and that all of it survives pickling."""

from __future__ import annotations

import copy
import inspect
import pickle
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import httpx
import pytest

import llamadapro
from llamadapro import errors
from llamadapro.errors import (
    APIConnectionError,
    APIError,
    APIResponseValidationError,
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    BadRequestError,
    ConfigurationError,
    ConflictError,
    InternalServerError,
    InvalidPhoneNumberError,
    InvalidRequestError,
    JobError,
    LlamadaProError,
    NotFoundError,
    PaginationError,
    PermissionDeniedError,
    RateLimitError,
    UnprocessableEntityError,
    WaitTimeoutError,
    class_for_status,
)

TREE: dict[type[BaseException], tuple[type[BaseException], ...]] = {
    LlamadaProError: (Exception,),
    ConfigurationError: (LlamadaProError,),
    InvalidRequestError: (LlamadaProError, ValueError),
    InvalidPhoneNumberError: (InvalidRequestError,),
    PaginationError: (LlamadaProError,),
    JobError: (LlamadaProError,),
    WaitTimeoutError: (LlamadaProError, TimeoutError),
    APIError: (LlamadaProError,),
    APIConnectionError: (APIError,),
    APITimeoutError: (APIConnectionError, TimeoutError),
    APIResponseValidationError: (APIError,),
    APIStatusError: (APIError,),
    BadRequestError: (APIStatusError,),
    AuthenticationError: (APIStatusError,),
    PermissionDeniedError: (APIStatusError,),
    NotFoundError: (APIStatusError,),
    ConflictError: (APIStatusError,),
    UnprocessableEntityError: (APIStatusError,),
    RateLimitError: (APIStatusError,),
    InternalServerError: (APIStatusError,),
}
STATUSES = {
    400: BadRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    409: ConflictError,
    422: UnprocessableEntityError,
    429: RateLimitError,
}


def test_the_tree_is_that_of_the_design() -> None:
    assert {name: vars(errors)[name].__bases__ for name in errors.__all__} == {
        kind.__name__: bases for kind, bases in TREE.items()
    }
    assert {
        name for name, kind in vars(errors).items() if inspect.isclass(kind) and issubclass(kind, BaseException)
    } == set(errors.__all__)


@pytest.mark.parametrize("kind", TREE, ids=lambda kind: kind.__name__)
def test_every_error_is_at_the_root_and_says_what_it_is(kind: type[BaseException]) -> None:
    assert getattr(llamadapro, kind.__name__) is kind
    assert kind.__name__ in llamadapro.__all__
    assert inspect.getdoc(kind)
    assert not issubclass(kind, TimeoutError) or kind in (WaitTimeoutError, APITimeoutError)
    assert not issubclass(kind, ValueError) or issubclass(kind, InvalidRequestError)


def test_the_class_for_each_status() -> None:
    for status in range(100, 1000):
        due = InternalServerError if status >= 500 else STATUSES.get(status, APIStatusError)
        assert class_for_status(status) is due, status


# --- what they carry ---------------------------------------------------------------------------------------------

REQUEST = httpx.Request("POST", "https://api.example.com/api/v1/contacts?a=1", json={"firstName": "Jane"})
BODY = {"code": 1007, "error": "Bad Request", "message": "no such funnel", "details": {"funnelId": ["unknown"]}}


def answer(status: int, body: Any = BODY) -> httpx.Response:
    return httpx.Response(status, json=body, headers={"X-Request-Id": "r-1"}, request=REQUEST)


def status_error(status: int, body: Any = BODY) -> APIStatusError:
    return class_for_status(status)(
        "POST /api/v1/contacts: refused",
        request=REQUEST,
        response=answer(status, body),
        body=body,
        request_id="r-1",
        retry_after=2.5,
        may_have_been_processed=True,
    )


ERRORS: list[LlamadaProError] = [
    LlamadaProError("something"),
    ConfigurationError("no API key"),
    InvalidRequestError("get_task: task_id"),
    InvalidPhoneNumberError("'x' is not a phone number"),
    PaginationError("a second time"),
    JobError("the job stopped early", report=None),
    WaitTimeoutError("waited 5 s", last={"status": "queued"}),
    APIError("failed", request=REQUEST),
    APIConnectionError("refused", request=REQUEST, may_have_been_processed=True),
    APITimeoutError("too late", request=REQUEST, may_have_been_processed=True),
    APIResponseValidationError(
        "not as the document says", request=REQUEST, response=answer(200), place="items[3].addresses",
        may_have_been_processed=True,
    ),
    *[status_error(status) for status in (*STATUSES, 302, 418, 500, 503, 599, 999)],
]  # fmt: skip


def test_no_kind_of_error_is_left_out_here() -> None:
    assert {type(error) for error in ERRORS} == set(TREE)


def fields(error: BaseException) -> dict[str, Any]:
    """Everything an error carries, in a form that can be compared."""
    out: dict[str, Any] = {"args": error.args, "str": str(error), "type": type(error)}
    for name, value in vars(error).items():
        if isinstance(value, httpx.Request):
            value = ("request", value.method, str(value.url), value.headers.multi_items(), value.content)
        elif isinstance(value, httpx.Response):
            value = ("response", value.status_code, value.headers.multi_items(), value.content, str(value.request.url))
        out[name] = value
    return out


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(
    "error", ERRORS, ids=lambda error: f"{type(error).__name__} {getattr(error, 'status_code', '')}"
)
def test_an_error_survives_pickling_with_all_it_carries(error: LlamadaProError, protocol: int) -> None:
    again = pickle.loads(pickle.dumps(error, protocol))
    assert again is not error
    assert fields(again) == fields(error)
    assert str(again)


@pytest.mark.parametrize(
    "error", ERRORS, ids=lambda error: f"{type(error).__name__} {getattr(error, 'status_code', '')}"
)
def test_an_error_can_be_copied_and_annotated(error: LlamadaProError) -> None:
    again = copy.copy(error)
    again.add_note("seen in row 5")
    assert fields(pickle.loads(pickle.dumps(again)))["__notes__"] == ["seen in row 5"]
    assert not hasattr(error, "__notes__")
    assert fields(copy.deepcopy(error)) == fields(error)


def test_an_error_with_a_cause_can_be_pickled() -> None:
    with pytest.raises(LlamadaProError) as caught:
        raise ERRORS[-1] from httpx.ReadError("reset")
    assert fields(pickle.loads(pickle.dumps(caught.value))) == fields(ERRORS[-1])


def fail() -> None:
    raise status_error(404)


def test_an_error_comes_out_of_another_process() -> None:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool, pytest.raises(NotFoundError) as caught:
        pool.submit(fail).result(timeout=60)
    assert caught.value.details == BODY["details"]


def test_a_status_error_carries_the_services_words() -> None:
    error = status_error(400)
    assert (error.status_code, error.code, error.message) == (400, 1007, "no such funnel")
    assert (error.details, error.body, error.request_id) == (BODY["details"], BODY, "r-1")
    assert (error.retry_after, error.may_have_been_processed) == (2.5, True)
    assert error.response.request is error.request is REQUEST
    assert str(error) == "POST /api/v1/contacts: refused"


@pytest.mark.parametrize(
    ("body", "message", "code", "details"),
    [
        ({"error": "Conflict"}, "Conflict", None, None),
        ({"message": "", "error": "Conflict"}, "Conflict", None, None),
        ({"message": None}, "Conflict", None, None),
        ({"message": {"en": "no"}}, "en: no", None, None),
        ({"code": "E7", "details": ["a"]}, "Conflict", "E7", ["a"]),
        ({}, "Conflict", None, None),
        ([], "Conflict", None, None),
        ("<html>", "Conflict", None, None),
        (None, "Conflict", None, None),
        (5, "Conflict", None, None),
    ],
    ids=repr,
)
def test_any_body_makes_a_status_error(body: Any, message: str, code: Any, details: Any) -> None:
    error = status_error(409, body)
    assert (error.message, error.code, error.details, error.body) == (message, code, details, body)


def test_a_status_without_a_name_has_a_message_too() -> None:
    assert status_error(599, None).message == "HTTP 599"


def test_the_defaults_promise_nothing() -> None:
    assert APIConnectionError("x", request=REQUEST).may_have_been_processed is False
    assert WaitTimeoutError("x").last is None
    assert APIResponseValidationError("x", request=REQUEST, response=answer(200)).place == ""
    bare = NotFoundError("x", request=REQUEST, response=answer(404))
    assert (bare.body, bare.request_id, bare.retry_after, bare.may_have_been_processed) == (None, None, None, False)


def test_nothing_can_be_raised_without_its_request() -> None:
    with pytest.raises(TypeError, match="request"):
        APIConnectionError("x")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="response"):
        NotFoundError("x", request=REQUEST)  # type: ignore[call-arg]
