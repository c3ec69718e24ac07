"""Recordings that can be played: WAV of any length, both parties on channels of their own, made while it is sent."""

from __future__ import annotations

import math
import struct
from array import array
from collections.abc import Iterator
from functools import cache

RATE = 8000
FRAME = 4
"""Bytes of one moment: 16 bits on each of two channels."""
HEADER = 44
MAX_BYTES = 2**32 - 2**12
"""A WAV file counts its bytes in 32 bits."""
TONES = (440, 330)
"""The agent's voice on the left and the customer's on the right, in hertz."""


def size_of(seconds: float) -> int:
    return min(HEADER + round(min(seconds, 1e6) * RATE) * FRAME, MAX_BYTES)


def seconds_in(size: int) -> float:
    return (size - HEADER) / (RATE * FRAME)


def fitting(size: int) -> int:
    """The largest size of complete frames that is not above the wanted one."""
    return HEADER + (min(max(size, HEADER), MAX_BYTES) - HEADER) // FRAME * FRAME


def wav(size: int, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
    """The bytes from `start` to `stop` of a recording of `size` bytes, in pieces: never all in memory."""
    stop, head, voices = size if stop is None else stop, _header(size), _voices()
    if start < HEADER:
        yield head[start : min(stop, HEADER)]
    at = max(start, HEADER)
    while at < stop:
        offset = (at - HEADER) % len(voices)
        piece = voices[offset : offset + stop - at]
        yield piece
        at += len(piece)


def _header(size: int) -> bytes:
    data = size - HEADER
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 2, RATE, RATE * FRAME, FRAME, 16)
    return struct.pack("<4sI4s", b"RIFF", size - 8, b"WAVE") + form + struct.pack("<4sI", b"data", data)


@cache
def _voices() -> bytes:
    """Two seconds in which the parties take turns; a recording repeats them."""
    samples = array("h")
    for moment in range(2 * RATE):
        speaker = moment // RATE
        value = int(8000 * math.sin(2 * math.pi * TONES[speaker] * moment / RATE))
        samples.extend((value, 0) if speaker == 0 else (0, value))
    return struct.pack(f"<{len(samples)}h", *samples)
