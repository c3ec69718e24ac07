"""The proxies that the environment names, and the hosts that it excludes from them."""

from __future__ import annotations

import os
from ipaddress import ip_address, ip_network
from urllib.request import getproxies, proxy_bypass

import httpx

from .._config import EngineName, build_proxy


def environment_proxy(url: httpx.URL, engine: EngineName) -> httpx.Proxy | None:
    """The proxy that HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY give for this URL."""
    proxies = getproxies()
    if _is_excluded(url, proxies.get("no", "")):
        return None
    for kind in (url.scheme, "all"):
        if found := proxies.get(kind):
            return build_proxy(found if "://" in found else f"http://{found}", engine, _source(kind))
    return None


def _source(kind: str) -> str:
    """Where a proxy comes from, as an error names it."""
    names = (f"{kind}_proxy", f"{kind}_proxy".upper())
    return next((f"the environment variable {name}" for name in names if os.environ.get(name)), "the system's proxy")


def _is_excluded(url: httpx.URL, no_proxy: str) -> bool:
    """As curl and Go read NO_PROXY: names with their subdomains, addresses, [IPv6] addresses, networks, ports."""
    if proxy_bypass(url.host if url.port is None else f"{url.host}:{url.port}"):
        return True
    try:
        address = ip_address(url.host)
    except ValueError:
        return False  # a name: the standard library knows these
    port = url.port or {"http": 80, "https": 443}.get(url.scheme)
    return any(_includes(entry.strip(), address, port) for entry in no_proxy.split(","))


def _includes(entry: str, address: object, port: int | None) -> bool:
    """Whether an entry such as 10.0.0.0/8, [::1] or [::1]:8080 stands for the address."""
    wanted_port = ""
    if entry.startswith("["):
        entry, _, wanted_port = entry[1:].partition("]")
    try:
        return address in ip_network(entry, strict=False) and wanted_port in ("", f":{port}")
    except ValueError:
        return False
