"""The URL of a request: built with httpx's private name where it is there, else the public way, and the same."""

from __future__ import annotations

import re
from types import SimpleNamespace

import httpx
import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llamadapro._transport.httpx_engine import Library

BASES = ["https://api.example.com", "http://127.0.0.1:8080/v/1", "https://[::1]:1/a%20b", "https://bücher.example/ñ"]
PATHS = st.from_regex(r"(/[a-zA-Z0-9._~-]{0,8}(%[0-9A-F]{2})?){1,4}(\?[a-z]{1,3}=[a-z0-9%+.]{0,5})?", fullmatch=True)

DOTS = re.compile(r"/\.{1,2}(/|\?|$)")
"""Segments that httpx takes away; no prepared request has any."""


class PublicURL:
    """A URL of an httpx in which nothing private has the name that it has today."""

    def __init__(self, url: str) -> None:
        self.text = url


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("library", [Library("httpx"), Library("httpx2")], ids=lambda one: one.http.__name__)
@settings(max_examples=30, deadline=None)
@given(path=PATHS.filter(lambda path: not DOTS.search(path) and not path.startswith("//")))
def test_a_url_is_the_same_without_httpxs_private_name(library: Library, base: str, path: str) -> None:
    text = str(httpx.URL(base)).rstrip("/") + path
    quick, parsed = library.url(text), library.http.URL(text)
    assert isinstance(quick, (httpx.URL, httpx2.URL))
    assert (quick.host, quick.port, quick.scheme, quick.netloc) == (
        *(parsed.host, parsed.port, parsed.scheme, parsed.netloc),
    )
    assert str(quick).endswith(path), "nothing of it is written otherwise"
    assert httpx.URL(str(quick)) == httpx.URL(str(parsed))


def test_without_the_private_name_urls_are_parsed() -> None:
    library = Library("httpx")
    library.http = SimpleNamespace(URL=PublicURL)
    assert library.url("https://api.example.com/a?b=c").text == "https://api.example.com/a?b=c"
