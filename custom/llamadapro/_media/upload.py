"""Files that are to be uploaded: what they are, whether WhatsApp takes them, and their bytes as JSON carries them."""

from __future__ import annotations

import asyncio
import os
from binascii import b2a_base64
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from io import BytesIO
from mimetypes import MimeTypes
from pathlib import Path
from typing import Literal, Protocol, TypeAlias, cast

import attrs

from .._config import as_int
from ..errors import InvalidRequestError
from . import to_path


class Readable(Protocol):
    """An open file, or what reads like one."""

    def read(self, size: int, /) -> bytes | None: ...


File: TypeAlias = str | os.PathLike[str] | bytes | bytearray | memoryview | Readable
"""A path, the bytes themselves, or a file opened in binary mode, which is read from where it stands."""

MediaType = Literal["image", "audio", "video", "document", "sticker"]

LIMITS: Mapping[MediaType, int] = {
    "image": 5 * 2**20,
    "audio": 16 * 2**20,
    "video": 16 * 2**20,
    "document": 100 * 2**20,
    "sticker": 500 * 2**10,
}
"""The most bytes that WhatsApp documents for each kind of media."""

INLINE = 2**18
"""Bytes that are encoded on the event loop: a thread would take longer."""

_PIECE = 3 * 2**18
"""Base64 goes by threes. Encoding holds the interpreter, in a thread too: between pieces the loop gets its turn."""

_UNKNOWN = "application/octet-stream"
# Not in the table that comes with Python; the system's own differs from machine to machine.
_MORE_TYPES = {
    "audio/amr": (".amr",),
    "audio/mp4": (".m4a",),
    "audio/ogg": (".ogg", ".oga", ".opus"),
    "video/3gpp": (".3gp",),
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": (".docx",),
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": (".xlsx",),
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": (".pptx",),
}
# What WhatsApp takes as more than a document, and PDF: few enough not to want a library.
_SIGNS = (
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (8, b"WEBP", "image/webp"),
    (0, b"OggS", "audio/ogg"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"#!AMR", "audio/amr"),
    (4, b"ftypM4A", "audio/mp4"),
    (4, b"ftyp3g", "video/3gpp"),
    (4, b"ftyp", "video/mp4"),
    (0, b"%PDF-", "application/pdf"),
)


@attrs.frozen
class Upload:
    """A file, ready to be sent."""

    type: MediaType
    file_name: str
    content_type: str
    content: str = attrs.field(repr=False)


async def read_upload(
    file: File,
    *,
    type: MediaType | None = None,
    file_name: str | None = None,
    content_type: str | None = None,
    max_bytes: int | None = None,
) -> Upload:
    """Read a file and encode it, off the event loop unless it is small; raises `InvalidRequestError`, or `OSError`."""
    if type is not None and type not in LIMITS:
        raise InvalidRequestError(f"type must be one of {', '.join(LIMITS)}, not {type!r}")
    for name, text in (("file_name", file_name), ("content_type", content_type)):
        if text is not None and not isinstance(text, str):
            raise InvalidRequestError(f"{name} must be a string, not {text!r}")
    if max_bytes is not None and as_int(max_bytes) is None:
        raise InvalidRequestError(f"max_bytes must be an integer, not {max_bytes!r}")
    if isinstance(file, (bytes, bytearray, memoryview)) and len(file) <= INLINE:
        return _read(file, type, file_name, content_type, max_bytes)
    return await asyncio.to_thread(_read, file, type, file_name, content_type, max_bytes)


def check_size(size: int, kind: MediaType, max_bytes: int | None) -> None:
    limit = LIMITS[kind] if max_bytes is None else max_bytes
    if size > limit:
        whose = f"the limit of WhatsApp for type {kind!r}; max_bytes=… changes it" if max_bytes is None else "max_bytes"
        raise InvalidRequestError(f"the file is larger than {limit:,} bytes, {whose}")


def kind_of(content_type: str) -> MediaType:
    """What WhatsApp shows a media type as. WebP is for stickers there; what has no kind of its own is a document."""
    if content_type.startswith("image/webp"):
        return "sticker"
    main = content_type.partition("/")[0].lower()
    return cast(MediaType, main) if main in ("image", "audio", "video") else "document"


def _read(
    file: File, kind: MediaType | None, file_name: str | None, content_type: str | None, max_bytes: int | None
) -> Upload:
    name = file_name or _name_of(file)
    encoded: list[str] = []
    with _opened(file) as source:
        rest = piece = _piece(source)
        content_type = content_type or _guess(name, piece)
        kind = kind or kind_of(content_type)
        size = len(piece)
        check_size(size, kind, max_bytes)
        while piece := _piece(source):
            size += len(piece)
            check_size(size, kind, max_bytes)
            threes = len(rest) - len(rest) % 3
            encoded.append(_base64(rest[:threes]))
            rest = rest[threes:] + piece
    if not size:
        raise InvalidRequestError("the file is empty")
    encoded.append(_base64(rest))
    name = name or f"{kind}{_types().guess_extension(content_type, strict=False) or ''}"
    return Upload(kind, name, content_type, "".join(encoded))


def _opened(file: File) -> AbstractContextManager[Readable]:
    if isinstance(file, (bytes, bytearray, memoryview)):
        return BytesIO(file)
    if isinstance(file, (str, os.PathLike)):
        return to_path(file).open("rb")
    if not hasattr(file, "read"):
        raise InvalidRequestError(f"file must be a path, bytes or a file opened in binary mode, not {file!r}")
    return nullcontext(file)  # the caller's own to close


def _piece(source: Readable) -> bytes:
    piece = source.read(_PIECE)
    if not isinstance(piece, bytes):
        raise InvalidRequestError(f"the file must be opened in binary mode; it gave {type(piece).__name__}, not bytes")
    return piece


def _base64(data: bytes) -> str:
    return b2a_base64(data, newline=False).decode("ascii")


def _name_of(file: File) -> str | None:
    name = file if isinstance(file, (str, os.PathLike)) else getattr(file, "name", None)
    return Path(name).name if isinstance(name, (str, os.PathLike)) else None


def _guess(name: str | None, start: bytes) -> str:
    """By the name first: it is what a person has said. By the first bytes where that says nothing."""
    found, packed = _types().guess_type(name or "", strict=False)
    if packed is not None:
        return _UNKNOWN  # the type is that of what is inside
    found = found or next((kind for at, sign, kind in _SIGNS if start.startswith(sign, at)), None)
    if found is None and name is None:
        raise InvalidRequestError("cannot determine the file type: give file_name or content_type")
    return found or _UNKNOWN


@cache
def _types() -> MimeTypes:
    types = MimeTypes()
    for content_type, endings in _MORE_TYPES.items():
        for ending in endings:
            types.add_type(content_type, ending)
    return types
