"""The URL of a request: built with httpx's private name where it is there, else the public way, and the same."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llamadapro._transport.encoding import _url

BASES = ["https://api.example.com", "http://127.0.0.1:8080/v/1", "https://[::1]:1/a%20b", "https://bücher.example/ñ"]
PATHS = st.from_regex(r"(/[a-zA-Z0-9._~-]{0,8}(%[0-9A-F]{2})?){1,4}(\?[a-z]{1,3}=[a-z0-9%+.]{0,5})?", fullmatch=True)

DOTS = re.compile(r"/\.{1,2}(/|\?|$)")
"""Segments that httpx takes away; no prepared request has any."""


class PublicURL:
    """A URL of an httpx in which nothing private has the name that it has today."""

    def __init__(self, url: httpx.URL) -> None:
        self._url = url
        self.raw_path = url.raw_path

    def copy_with(self, **changes: Any) -> httpx.URL:
        return self._url.copy_with(**changes)


@pytest.mark.parametrize("base", BASES)
@settings(max_examples=30, deadline=None)
@given(path=PATHS.filter(lambda path: not DOTS.search(path) and not path.startswith("//")))
def test_a_url_is_the_same_without_httpxs_private_name(base: str, path: str) -> None:
    url = httpx.URL(base)
    private, public = _url(url, path), _url(PublicURL(url), path)  # type: ignore[arg-type]
    assert private.raw_path == public.raw_path
    assert (private.host, private.port, private.scheme) == (public.host, public.port, public.scheme)
    assert str(private).endswith(path)
    assert str(url) == str(httpx.URL(base)), "the base stays what it is"
