"""Signed URLs of the sandbox's own files: like the service's, they need no key, and expire."""

from __future__ import annotations

import hmac
from urllib.parse import quote

from .errors import Forbidden
from .paging import sign
from .state import State

VALID_SECONDS = 3600
PREFIX = "/_sandbox/files/"


def signed(state: State, base_url: str, address: str) -> str:
    path = PREFIX + quote(address)
    expires = str(int(state.clock.time()) + VALID_SECONDS)
    return f"{base_url}{path}?expires={expires}&signature={sign(f'{path} {expires}'.encode())}"


def check_signature(state: State, path: str, expires: str, signature: str) -> None:
    right = sign(f"{quote(path)} {expires}".encode("utf-8", "surrogatepass"))
    if not hmac.compare_digest(right.encode(), signature.encode("utf-8", "surrogatepass")):
        raise Forbidden("the signature of this URL is wrong")
    if int(expires) < state.clock.time():
        raise Forbidden("this URL has expired: read the record again for a new one")
