"""What an error says: the service's own words in whatever shape they come, and what to do."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from pytest_httpx import HTTPXMock

from llamadapro import AsyncLlamadaPro
from llamadapro.errors import APIConnectionError, APIStatusError, BadRequestError, NotFoundError
from llamadapro_api import document
from tests.openapi import path_of
from tests.unit.wire.mocked import API, Make

CONTACTS = path_of("GetContacts")
TASKS = path_of("GetTasks")

GUESS = "set base_url or LLAMADAPRO_BASE_URL, or correct openapi.yaml; `llamadapro contract` finds out what is right"
NGINX = "<html>\r\n<head><title>502 Bad Gateway</title></head><body>\r\n<h1>502 Bad Gateway</h1><hr>nginx</body></html>"


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (400, "400: Bad Request; correct the request"),
        (401, "401: Unauthorized; check the API key, and the header it is sent in (api_key_header)"),
        (402, "402: Payment Required"),
        (403, "403: Forbidden; the API key may not do this"),
        (404, "404: Not Found; check the id, or whether it has been deleted"),
        (405, "405: Method Not Allowed"),
    ],
)
async def test_advice_where_there_is_some(
    status: int, text: str, client: AsyncLlamadaPro, httpx_mock: HTTPXMock
) -> None:
    httpx_mock.add_response(status_code=status)
    with pytest.raises(APIStatusError) as caught:
        await client.contacts.get(5)
    assert str(caught.value) == f"GET {path_of('GetContact', 5)}: {text}"


async def test_a_rate_limit_says_what_to_do(make: Make, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(status_code=429, headers={"Retry-After": "2.5"})
    with pytest.raises(APIStatusError, match=r"429: Too Many Requests; the service asks to wait 2.5 s; send less, or"):
        await make(max_retries=0).contacts.get(5)


@pytest.mark.parametrize("status", [300, 301, 308, 399])
async def test_a_redirect_names_where_it_points(status: int, client: AsyncLlamadaPro, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(status_code=status, headers={"Location": "https://elsewhere.example/"})
    with pytest.raises(APIStatusError) as caught:
        await client.contacts.get(5)
    advice = "redirects are never followed, check base_url (it points to 'https://elsewhere.example/')"
    assert str(caught.value).endswith(f"; {advice}")


DELETED = "an earlier attempt, whose response was lost, may have deleted it"


async def test_a_delete_repeated_after_a_lost_answer_says_that_it_may_have_worked(
    client: AsyncLlamadaPro, httpx_mock: HTTPXMock
) -> None:
    httpx_mock.add_exception(httpx.ReadError("reset"))
    httpx_mock.add_response(status_code=404)
    with pytest.raises(NotFoundError) as caught:
        await client.contacts.delete(5)
    assert f"404: Not Found; {DELETED} after 2 attempts" in str(caught.value)
    assert caught.value.may_have_been_processed


@pytest.mark.parametrize("lost", [[], [httpx.ConnectError("refused")]], ids=["first", "after one that was not sent"])
async def test_another_delete_does_not(lost: list[Exception], client: AsyncLlamadaPro, httpx_mock: HTTPXMock) -> None:
    for error in lost:
        httpx_mock.add_exception(error)
    httpx_mock.add_response(status_code=404)
    with pytest.raises(NotFoundError, match="check the id"):
        await client.contacts.delete(5)


# --- the first failure -------------------------------------------------------------------------------------------


async def test_an_address_that_nobody_has_confirmed_is_called_a_guess(make: Make, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_exception(httpx.ConnectError("no such host"), is_reusable=True)
    with pytest.raises(APIConnectionError) as caught:
        await make(base_url=None).contacts.get(5)
    assert str(caught.value) == (
        f"GET {path_of('GetContact', 5)}: could not reach the service (no such host) at {document.SERVER}/;"
        f" this address is a guess: {GUESS} after 3 attempts"
    )


async def test_an_address_of_the_callers_is_not(client: AsyncLlamadaPro, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_exception(httpx.ConnectError("no such host"), is_reusable=True)
    with pytest.raises(APIConnectionError) as caught:
        await client.contacts.get(5)
    assert "guess" not in str(caught.value)


@pytest.mark.parametrize("status", [404, 405])
async def test_a_path_without_an_id_that_is_not_there_may_be_a_wrong_path(
    status: int, client: AsyncLlamadaPro, httpx_mock: HTTPXMock
) -> None:
    httpx_mock.add_response(status_code=status, is_reusable=True)
    for call in (
        lambda: client.contacts.list(page_size=1),
        lambda: client.contacts.create(first_name="Jane"),
        lambda: client.messages.send_text(to="+14155552671", from_="+56912345678", text="hi"),
        lambda: client.request("GET", TASKS),
    ):
        with pytest.raises(APIStatusError) as caught:
            await call()  # type: ignore[no-untyped-call]
        assert str(caught.value).endswith(f"; the address {API} or this path is a guess: {GUESS}")
        assert caught.value.status_code == status


# --- error bodies of any shape ------------------------------------------------------------------------------------

SHAPES: list[tuple[Any, str]] = [
    ({"message": "no such funnel", "code": 7, "details": {"funnelId": 5}},
     'no such funnel (code 7); details: {"funnelId":5}'),
    ({"statusCode": 400, "message": ["to must be a phone", "from is missing"], "error": "Bad Request"},
     "to must be a phone; from is missing"),
    ({"error": {"message": "no credit", "code": "E7", "details": ["a"]}}, 'no credit (code E7); details: ["a"]'),
    ({"Message": "User is not authorized"}, "User is not authorized"),
    ({"type": "about:blank", "title": "Out of credit", "detail": "Your balance is 30", "status": 400},
     "Out of credit: Your balance is 30"),
    ({"title": "Validation failed", "errors": {"To": ["is required"]}}, "Validation failed: To: is required"),
    ({"message": "The data was invalid.", "errors": {"email": ["is taken"]}},
     'The data was invalid.; details: {"email":["is taken"]}'),
    ({"errors": [{"title": "Invalid", "detail": "too long", "source": {"pointer": "/data/to"}}]},
     "/data/to: Invalid: too long"),
    ({"detail": [{"loc": ["body", "to"], "msg": "Field required", "type": "missing"}]}, "body.to: Field required"),
    ({"detail": "Not authenticated"}, "Not authenticated"),
    ({"error": "invalid_token", "error_description": "it has expired"}, "it has expired (code invalid_token)"),
    ({"ok": False, "info": {"reason": "closed"}}, "info: closed"),
    ([{"message": "first"}, {"message": "second", "field": "to"}], "first; to: second"),
    ("just words", "just words"),
    (b"plain   text\n on two lines", "plain text on two lines"),
    (NGINX.encode(), "502 Bad Gateway nginx"),
    (b"<html><head><title>Oops</title><style>p{}</style></head><body><p>Try later &amp; again",
     "Oops: Try later & again"),
    (b"<?xml version='1.0'?><Error><Message>Access Denied</Message></Error>", "Access Denied"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "said"), SHAPES, ids=lambda one: repr(one)[:40])
async def test_what_the_service_says_is_in_the_text(
    body: Any, said: str, client: AsyncLlamadaPro, httpx_mock: HTTPXMock
) -> None:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    httpx_mock.add_response(status_code=400, content=content)
    with pytest.raises(BadRequestError) as caught:
        await client.contacts.create(first_name="Jane")
    expected = f"POST {CONTACTS}: 400: {said}; correct the request as the message says"
    assert str(caught.value) == expected
    assert caught.value.message == said.partition(" (code")[0].partition("; details")[0]


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"null", b"5", b'{"message":null}', b'{"code":null}', b"<p></p>"])
async def test_where_nothing_is_said_the_advice_does_not_speak_of_words(
    body: bytes, client: AsyncLlamadaPro, httpx_mock: HTTPXMock
) -> None:
    httpx_mock.add_response(status_code=400, content=body)
    with pytest.raises(BadRequestError) as caught:
        await client.contacts.create(first_name="Jane")
    assert str(caught.value) == f"POST {CONTACTS}: 400: Bad Request; correct the request"


@pytest.mark.parametrize(
    "body",
    [
        b"<" * 900_000,
        b"<script>" * 100_000,
        b"<!--" * 200_000,
        b"<title>" * 100_000,
        b"word " * 200_000,
        b"[" * 1000 + b"]" * 1000,
        b'{"message":' * 500 + b"1" + b"}" * 500,
        json.dumps([{"message": "x" * 100}] * 5000).encode(),
        json.dumps({f"k{n}": "x" * 100 for n in range(5000)}).encode(),
    ],
    ids=lambda body: repr(body[:20]),
)
async def test_a_monstrous_body_makes_a_short_text(body: bytes, client: AsyncLlamadaPro, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(status_code=400, content=body)
    with pytest.raises(BadRequestError) as caught:
        await client.contacts.create(first_name="Jane")
    assert len(str(caught.value)) < 1200


async def test_an_error_body_beyond_a_mebibyte_is_not_kept(client: AsyncLlamadaPro, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(status_code=400, content=b"x" * (2**20 + 1))
    with pytest.raises(BadRequestError) as caught:
        await client.contacts.create(first_name="Jane")
    assert (caught.value.body, caught.value.message) == (None, "Bad Request")


@pytest.mark.parametrize("charset", ["base64", "zlib", "nonsense", "utf-16"])
async def test_a_charset_that_is_none_harms_nobody(
    charset: str, client: AsyncLlamadaPro, httpx_mock: HTTPXMock
) -> None:
    said = "naïve".encode("utf-16" if charset == "utf-16" else "utf-8")
    httpx_mock.add_response(status_code=400, content=said, headers={"Content-Type": f"text/plain; charset={charset}"})
    with pytest.raises(BadRequestError) as caught:
        await client.contacts.create(first_name="Jane")
    assert caught.value.message == "naïve"
