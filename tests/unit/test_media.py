"""What a file to be uploaded is taken for, its size, and its bytes as base64."""

from __future__ import annotations

import asyncio
import base64
import io
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamadapro._media import upload
from llamadapro._media.partial_file import PartialFile
from llamadapro._media.upload import INLINE, LIMITS, kind_of, read_upload
from llamadapro.errors import InvalidRequestError

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 20


@pytest.mark.parametrize(
    ("name", "content_type", "kind"),
    [
        ("a.jpg", "image/jpeg", "image"),
        ("A.JPEG", "image/jpeg", "image"),
        ("a.png", "image/png", "image"),
        ("a.webp", "image/webp", "sticker"),
        ("a.mp3", "audio/mpeg", "audio"),
        ("a.ogg", "audio/ogg", "audio"),
        ("a.opus", "audio/ogg", "audio"),
        ("a.m4a", "audio/mp4", "audio"),
        ("a.amr", "audio/amr", "audio"),
        ("a.mp4", "video/mp4", "video"),
        ("a.3gp", "video/3gpp", "video"),
        ("a.pdf", "application/pdf", "document"),
        ("a.txt", "text/plain", "document"),
        ("a.docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document", "document"),
        ("a.xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "document"),
        ("a.csv.gz", "application/octet-stream", "document"),
        ("a.unheard-of", "application/octet-stream", "document"),
        ("a", "application/octet-stream", "document"),
    ],
)
async def test_a_name_says_what_a_file_is(tmp_path: Path, name: str, content_type: str, kind: str) -> None:
    (tmp_path / name).write_bytes(b"hello")
    read = await read_upload(str(tmp_path / name))
    assert (read.file_name, read.content_type, read.type) == (name, content_type, kind)
    assert read.content == "aGVsbG8="
    assert "aGVsbG8=" not in repr(read)


@pytest.mark.parametrize(
    ("start", "content_type", "name"),
    [
        (b"\xff\xd8\xff\xe0", "image/jpeg", "image.jpg"),
        (PNG, "image/png", "image.png"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp", "sticker.webp"),
        (b"OggS\0", "audio/ogg", "audio.ogg"),
        (b"ID3\x04", "audio/mpeg", "audio.mp3"),
        (b"#!AMR\n", "audio/amr", "audio.amr"),
        (b"\0\0\0\x20ftypM4A ", "audio/mp4", "audio.m4a"),
        (b"\0\0\0\x20ftypisom", "video/mp4", "video.mp4"),
        (b"\0\0\0\x20ftyp3gp5", "video/3gpp", "video.3gp"),
        (b"%PDF-1.7", "application/pdf", "document.pdf"),
    ],
)
async def test_bytes_are_known_by_how_they_begin(start: bytes, content_type: str, name: str) -> None:
    read = await read_upload(start)
    assert (read.content_type, read.file_name) == (content_type, name)


async def test_what_is_said_is_not_guessed(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(PNG)
    read = await read_upload(tmp_path / "a.png", type="document", file_name="b.bin", content_type="x/y")
    assert (read.type, read.file_name, read.content_type) == ("document", "b.bin", "x/y")
    assert (await read_upload(b"hello", file_name="b.txt")).content_type == "text/plain"
    assert (await read_upload(PNG, file_name="b.unheard-of")).type == "image"
    with pytest.raises(InvalidRequestError, match="give file_name or content_type"):
        await read_upload(b"hello")
    with pytest.raises(InvalidRequestError, match="type must be one of image, audio"):
        await read_upload(b"hello", type="text")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("content_type", "kind"),
    [("audio/ogg; codecs=opus", "audio"), ("IMAGE/PNG", "image"), ("text/x", "document"), ("", "document")],
)
def test_kinds(content_type: str, kind: str) -> None:
    assert kind_of(content_type) == kind


class Drops(io.RawIOBase):
    """A pipe, a socket: it gives what it has."""

    def __init__(self, data: bytes, sizes: list[int]) -> None:
        self._rest, self._sizes = data, sizes or [1]

    def read(self, size: int = -1, /) -> bytes:
        size = min(size, self._sizes[len(self._rest) % len(self._sizes)])
        given, self._rest = self._rest[:size], self._rest[size:]
        return given


@given(st.binary(min_size=1, max_size=400), st.lists(st.integers(1, 50), max_size=5))
def test_base64_is_right_however_the_bytes_come(data: bytes, sizes: list[int]) -> None:
    read = upload._read(Drops(data, sizes), None, "a.txt", None, None)
    assert base64.b64decode(read.content, validate=True) == data


async def test_large_files_of_every_kind_are_the_same(tmp_path: Path) -> None:
    data = os.urandom(2_000_001)
    (tmp_path / "a.pdf").write_bytes(data)
    expected = base64.b64encode(data).decode()
    with (tmp_path / "a.pdf").open("rb") as file:
        for given_file in (data, bytearray(data), memoryview(data), tmp_path / "a.pdf", file):
            read = await read_upload(given_file, content_type="application/pdf")
            assert read.content == expected
        assert not file.closed
        file.seek(1_999_999)
        assert base64.b64decode((await read_upload(file)).content) == data[1_999_999:]
    assert (await read_upload(io.BytesIO(PNG))).file_name == "image.png"


@pytest.mark.parametrize("kind", LIMITS)
async def test_whatsapps_limits(kind: Any) -> None:
    limit = LIMITS[kind]
    if kind != "document":  # 100 MB take a second
        assert (await read_upload(bytes(limit), type=kind, content_type="x/y")).type == kind
    with pytest.raises(
        InvalidRequestError, match=rf"larger than {limit:,} bytes, .* type '{kind}'; max_bytes=… changes"
    ):
        await read_upload(bytes(limit + 1), type=kind, content_type="x/y")
    assert (await read_upload(b"12345", type=kind, content_type="x/y", max_bytes=5)).content
    with pytest.raises(InvalidRequestError, match="larger than 4 bytes, max_bytes"):
        await read_upload(b"12345", type=kind, content_type="x/y", max_bytes=4)


async def test_a_file_too_large_is_not_read_to_its_end() -> None:
    class Endless(io.RawIOBase):
        given = 0

        def read(self, size: int = -1, /) -> bytes:
            self.given += size
            return bytes(size)

    endless = Endless()
    with pytest.raises(InvalidRequestError, match="larger"):
        await read_upload(endless, type="sticker", content_type="image/webp")
    assert endless.given <= 2**20


async def test_what_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "empty.txt").touch()
    (tmp_path / "a.txt").write_text("hello")
    with pytest.raises(InvalidRequestError, match="empty"):
        await read_upload(tmp_path / "empty.txt")
    with (tmp_path / "a.txt").open() as text, pytest.raises(InvalidRequestError, match="binary mode; it gave str"):
        await read_upload(text)  # type: ignore[arg-type]
    with pytest.raises(InvalidRequestError, match="not 5"):
        await read_upload(5)  # type: ignore[arg-type]
    with pytest.raises(FileNotFoundError):
        await read_upload(tmp_path / "nowhere.txt")
    with pytest.raises(IsADirectoryError):
        await read_upload(tmp_path)
    for path in ("a\0b", "\ud800"):
        with pytest.raises(InvalidRequestError, match="not the path of a file"):
            await read_upload(path)
    for option in ({"file_name": 5}, {"content_type": 5}, {"max_bytes": "5"}):
        with pytest.raises(InvalidRequestError, match=f"{next(iter(option))} must be"):
            await read_upload(b"hello", **option)  # type: ignore[arg-type]


async def test_large_files_leave_the_loop_its_turn() -> None:
    """Base64 holds the interpreter wherever it runs: only in pieces does a thread let the loop go on."""
    turns = 0

    async def tick() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    ticking = asyncio.create_task(tick())
    await asyncio.sleep(0)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-4)
    try:
        await read_upload(b"x" * INLINE, file_name="a.txt")
        inline = turns
        await read_upload(b"x" * 40 * 2**20, file_name="a.txt")
    finally:
        sys.setswitchinterval(interval)
        ticking.cancel()
    assert inline == 1
    assert turns > 40


@pytest.mark.skipif(sys.platform == "win32", reason="locks are POSIX's")
def test_a_download_that_has_just_ended_is_not_written_into(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between opening the part and locking it, another process may finish it and give it its name."""
    path = tmp_path / "call.wav"
    (tmp_path / "call.wav.part").write_bytes(b"complete")
    monkeypatch.setattr("fcntl.flock", lambda *_: os.replace(tmp_path / "call.wav.part", path))
    with pytest.raises(InvalidRequestError, match="is being downloaded already"):
        PartialFile(path, "source", None, resume=True)
    assert path.read_bytes() == b"complete"
