"""`messages.send_media`, `upload_media` and `wait`: what they send, and what goes wrong between upload and message."""

from __future__ import annotations

import asyncio
import base64
import pickle
from pathlib import Path
from typing import Any

import pytest

from llamadapro import errors
from llamadapro.resources._messages import END_STATUSES
from llamadapro_sandbox import Sandbox
from tests.faults.clients import available, client_for
from tests.faults.server import End, Outcome, Received, answer, fault_server, outcome
from tests.openapi import path_of

MEDIA = path_of("UploadMedia")

FROM, TO = "+56912345678", "+14155552671"
FAILING = "+15005550001"
PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 50

engines = pytest.mark.parametrize(
    "engine",
    [
        pytest.param(engine, marks=pytest.mark.skipif(not available(engine), reason="needs an extra"))
        for engine in ("httpx", "aiohttp", "caller")
    ],
)


def sent(sandbox: Sandbox) -> list[tuple[Any, Any]]:
    return [(entry.operation, entry.json) for entry in sandbox.requests]


# --- send_media --------------------------------------------------------------------------------------------------


async def test_a_file_is_uploaded_and_sent(sandbox: Sandbox, client: Any, tmp_path: Path) -> None:
    (tmp_path / "logo.png").write_bytes(PNG)
    message = await client.messages.send_media(
        to=TO, from_="9 1234 5678", file=tmp_path / "logo.png", caption="Our logo", tags={"of": "us"}, user_id="7"
    )
    content = base64.b64encode(PNG).decode()
    uploaded = {"fromPhoneNumber": FROM, "fileName": "logo.png", "contentType": "image/png", "content": content}
    assert sent(sandbox) == [
        ("UploadMedia", uploaded | {"tags": {"of": "us"}}),
        (
            "CreateMessage",
            {
                "fromPhoneNumber": FROM,
                "toPhoneNumber": TO,
                "content": "Our logo",
                "type": "image",
                "userId": "7",
                "fileId": "file_1",
            },
        ),
    ]
    assert message.attachments[0].id == "file_1"


async def test_without_a_caption_the_content_is_empty(sandbox: Sandbox, client: Any) -> None:
    await client.messages.send_media(to=TO, from_=FROM, file=b"%PDF-1.7", type="document", file_name="offer.pdf")
    upload, message = (body for _, body in sent(sandbox))
    assert (upload["fileName"], upload["contentType"]) == ("offer.pdf", "application/pdf")
    assert (message["content"], message["type"]) == ("", "document")
    assert not {"tags", "userId", "customFields"} & {*upload, *message}


@pytest.mark.parametrize(
    ("wrong", "kind"),
    [
        ({"to": "12"}, errors.InvalidPhoneNumberError),
        ({"from_": "whatsapp:+56912345678"}, errors.InvalidPhoneNumberError),
        ({"file": b"no idea"}, errors.InvalidRequestError),
        ({"type": "text"}, errors.InvalidRequestError),
        ({"caption": 5}, errors.InvalidRequestError),
        ({"user_id": 7}, errors.InvalidRequestError),
        ({"custom_fields": {"a": object()}}, errors.InvalidRequestError),
        ({"tags": {"a": 1}}, errors.InvalidRequestError),
        ({"max_bytes": 10}, errors.InvalidRequestError),
        ({"file": "/nowhere/logo.png"}, FileNotFoundError),
        ({"text": "Hi"}, TypeError),
    ],
)
async def test_nothing_is_uploaded_for_a_message_that_cannot_be_sent(
    sandbox: Sandbox, client: Any, wrong: dict[str, Any], kind: type[Exception]
) -> None:
    with pytest.raises(kind):
        await client.messages.send_media(**({"to": TO, "from_": FROM, "file": PNG} | wrong))
    assert len(sandbox.requests) == 0


async def test_both_bad_numbers_are_named(client: Any) -> None:
    with pytest.raises(errors.InvalidPhoneNumberError, match=r"(?s)'12'.*'34'"):
        await client.messages.send_media(to="12", from_="34", file=PNG)


UPLOADED = answer(200, {"fileId": "file_7", "mediaId": "m"})


@engines
@pytest.mark.parametrize(
    ("then", "kind", "maybe"),
    [
        (answer(400, {"message": "no"}), errors.BadRequestError, False),
        (answer(503), errors.InternalServerError, True),
        (outcome("reset", End.RESET), errors.APIConnectionError, True),
    ],
)
async def test_an_uploaded_file_is_not_lost_with_its_message(
    engine: str, then: Outcome, kind: type[errors.APIError], maybe: bool
) -> None:
    with fault_server().site(UPLOADED, then=then) as site:
        async with client_for(engine, site.url) as client:
            with pytest.raises(kind) as caught:
                await client.messages.send_media(to=TO, from_=FROM, file=PNG)
    assert len(site.requests) == 2  # neither is sent twice
    assert caught.value.may_have_been_processed is maybe
    again = pickle.loads(pickle.dumps(caught.value))
    for error in (caught.value, again):
        assert "file_id='file_7', type_='image'" in "".join(error.__notes__)


@engines
async def test_a_failed_upload_sends_no_message(engine: str) -> None:
    with fault_server().site(then=outcome("reset", End.RESET)) as site:
        async with client_for(engine, site.url) as client:
            with pytest.raises(errors.APIConnectionError) as caught:
                await client.messages.send_media(to=TO, from_=FROM, file=PNG)
    assert [request.path for request in site.requests if request.complete] in ([MEDIA], [])
    assert len(site.requests) == 1
    assert not hasattr(caught.value, "__notes__")


@pytest.mark.parametrize("reported", [{}, {"fileId": None}, {"fileId": ""}, {"fileId": 7}])
async def test_an_upload_without_an_id_is_no_answer(reported: dict[str, Any]) -> None:
    with fault_server().site(then=answer(200, reported)) as site:
        async with client_for("httpx", site.url) as client:
            with pytest.raises(errors.APIResponseValidationError) as caught:
                await client.messages.send_media(to=TO, from_=FROM, file=PNG)
    assert (caught.value.place, caught.value.may_have_been_processed) == ("fileId", True)
    assert len(site.requests) == 1


async def test_a_cancelled_message_still_names_its_file() -> None:
    def play(request: Received) -> Outcome:
        return UPLOADED if "media" in request.path else outcome("silent", End.HANG)

    with fault_server().site(then=play) as site:
        async with client_for("httpx", site.url) as client:
            sending = asyncio.create_task(client.messages.send_media(to=TO, from_=FROM, file=PNG))
            assert await site.until(lambda site: len(site.requests) == 2)
            sending.cancel()
            with pytest.raises(asyncio.CancelledError) as caught:
                await sending
    assert "file_7" in "".join(caught.value.__notes__)


# --- upload_media ------------------------------------------------------------------------------------------------


async def test_the_three_ways_to_upload(sandbox: Sandbox, client: Any, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"hello")
    upload = client.messages.upload_media
    direct = {"file_name": "b.txt", "content_type": "text/plain", "content": "aGVsbG8="}
    first = await upload(from_phone_number="912345678", file=str(tmp_path / "a.txt"))
    await upload(from_phone_number=FROM, **direct)
    await upload(from_phone_number=FROM, file_id=first.file_id, tags={"a": "b"})
    await upload(from_phone_number=FROM, file=b"hello", file_name="c.bin", content_type="x/y")
    wire = {"fromPhoneNumber": FROM, "contentType": "text/plain", "content": "aGVsbG8="}
    assert [body for _, body in sent(sandbox)] == [
        wire | {"fileName": "a.txt"},
        wire | {"fileName": "b.txt"},
        {"fromPhoneNumber": FROM, "fileId": "file_1", "tags": {"a": "b"}},
        wire | {"fileName": "c.bin", "contentType": "x/y"},
    ]
    assert (first.file_name, first.size) == ("a.txt", 5)


CONTENT = {"content": "aGVsbG8="}
NAMED = {"file_name": "a.txt", "content_type": "text/plain"}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "this has none of them"),
        (NAMED, "this has content_type, file_name"),
        (CONTENT, "this has content"),
        ({"file_name": "a.txt"} | CONTENT, "this has content, file_name"),
        ({"file_id": "f"} | NAMED | CONTENT, "this has content, content_type, file_id, file_name"),
        ({"file_id": "f"} | NAMED, "file_id"),
        ({"file": b"x", "file_id": "f"}, "this has file, file_id"),
        ({"file": b"x"} | CONTENT, "this has content, file"),
        (NAMED | {"content": "A" * 8, "max_bytes": 5}, "larger than 5 bytes"),
        (NAMED | {"file": b"hello!", "max_bytes": 5}, "larger than 5 bytes"),
        (NAMED | CONTENT | {"from_phone_number": "12"}, "12"),
    ],
)
async def test_no_other_way(sandbox: Sandbox, client: Any, fields: dict[str, Any], words: str) -> None:
    with pytest.raises(errors.InvalidRequestError, match=words):
        await client.messages.upload_media(**({"from_phone_number": FROM} | fields))
    assert len(sandbox.requests) == 0


# --- wait --------------------------------------------------------------------------------------------------------


async def test_a_message_is_waited_for(sandbox: Sandbox, client: Any) -> None:
    sent_one = await client.messages.send_text(to=TO, text="Hi", from_=FROM)
    seen: list[str | None] = []
    message = await client.messages.wait(sent_one.id, on_status=lambda message: seen.append(message.status))
    assert message.status == "delivered"
    assert seen == ["pending", "sent", "delivered"]
    message = await client.messages.wait(sent_one.id, until=("read", "failed"))
    assert message.status == "read"


async def test_a_failed_message_ends_the_wait(client: Any) -> None:
    sent_one = await client.messages.send_text(to=FAILING, text="Hi", from_=FROM)
    message = await client.messages.wait(sent_one.id)
    assert message.status == "failed"
    assert "failed" in END_STATUSES


async def test_an_unknown_status_is_neither_an_end_nor_an_error() -> None:
    with fault_server().site(then=answer(200, {"id": "message_1", "status": "teleported"})) as site:
        async with client_for("httpx", site.url) as client:
            with pytest.raises(errors.WaitTimeoutError, match="'teleported'") as caught:
                await client.messages.wait("message_1", timeout=30)
            assert (await client.messages.wait("message_1", until=("teleported",))).status == "teleported"
    assert caught.value.last.status == "teleported"
    assert len(site.requests) > 3


@pytest.mark.parametrize("status", [["read"], {"read": 1}, 5, None])
async def test_a_status_of_any_kind_ends_nothing(status: Any) -> None:
    with fault_server().site(then=answer(200, {"id": 1, "status": status})) as site:
        async with client_for("httpx", site.url) as client:
            for wait in (client.messages.wait, client.calls.wait):
                with pytest.raises(errors.WaitTimeoutError):
                    await wait(1, timeout=1)


async def test_a_message_that_is_not_there(client: Any) -> None:
    with pytest.raises(errors.NotFoundError):
        await client.messages.wait("message_99")
    with pytest.raises(errors.InvalidRequestError):
        await client.messages.wait("..")
