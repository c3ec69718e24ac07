"""Which requests go through a proxy of the environment."""

from __future__ import annotations

import httpx
import pytest

from llamadapro import AsyncLlamadaPro, ConfigurationError
from llamadapro._transport.proxies import environment_proxy

VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return monkeypatch


def proxy_for(url: str) -> str | None:
    found = environment_proxy(httpx.URL(url), "httpx")
    return None if found is None else str(found.url)


@pytest.mark.parametrize(
    ("no_proxy", "url", "excluded"),
    [
        ("10.0.0.0/8", "http://10.1.2.3/", True),
        ("10.0.0.0/8", "http://10.1.2.3:8080/", True),
        ("10.0.0.0/8", "http://11.1.2.3/", False),
        ("192.168.1.7/24", "http://192.168.1.200/", True),
        ("fd00::/8", "http://[fd12::1]/", True),
        ("[::1]", "http://[::1]/", True),
        ("[::1]", "http://[::1]:8080/", True),
        ("[::1]:8080", "http://[::1]:8080/", True),
        ("[::1]:8080", "http://[::1]:8081/", False),
        ("[::1]:80", "http://[::1]/", True),
        ("::1", "http://[::1]/", True),
        ("api.test, 10.0.0.0/8", "http://10.1.2.3/", True),
        ("10.0.0.0/8", "http://ten.test/", False),
        ("ten.test", "http://api.ten.test/", True),
        ("*", "http://ten.test/", True),
        ("10.0.0.0/99, nonsense[", "http://10.1.2.3/", False),
    ],
)
def test_what_no_proxy_excludes(environment: pytest.MonkeyPatch, no_proxy: str, url: str, excluded: bool) -> None:
    environment.setenv("http_proxy", "http://proxy:3128")
    environment.setenv("no_proxy", no_proxy)
    assert proxy_for(url) == (None if excluded else "http://proxy:3128")


def test_all_proxy_is_for_what_has_no_proxy_of_its_own(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("https_proxy", "proxy:3129")
    environment.setenv("ALL_PROXY", "http://proxy:3128")
    assert proxy_for("https://api.test/") == "http://proxy:3129"
    assert proxy_for("http://api.test/") == "http://proxy:3128"


@pytest.mark.parametrize("variable", ["all_proxy", "ALL_PROXY", "http_proxy", "HTTP_PROXY"])
def test_a_proxy_of_unknown_scheme_is_named_with_its_variable(environment: pytest.MonkeyPatch, variable: str) -> None:
    environment.setenv(variable, "socks://me:secret@proxy:1080")
    with pytest.raises(ConfigurationError) as refused:
        AsyncLlamadaPro("key", "http://api.test")
    assert f"the environment variable {variable}" in str(refused.value)
    assert "'socks'" in str(refused.value)
    assert "socks5" in str(refused.value)
    assert "secret" not in str(refused.value)
