"""Which engine a configuration asks for."""

from __future__ import annotations

import httpx

from .._config import Config
from ..errors import ConfigurationError
from .base_engine import Engine, environment_proxy
from .httpx_engine import CallersClient, HttpxEngine


def build_engine(config: Config) -> Engine:
    """The engine that a configuration asks for; nothing is opened yet."""
    if config.http_client is not None:
        return CallersClient(config.http_client)
    proxy = config.proxy or environment_proxy(config.base_url, config.engine)
    if config.engine == "aiohttp":
        return _aiohttp_engine(config, proxy)
    return HttpxEngine(config, proxy)


def _aiohttp_engine(config: Config, proxy: httpx.Proxy | None) -> Engine:
    try:
        from .aiohttp_engine import AiohttpEngine
    except ImportError as error:
        raise ConfigurationError("engine='aiohttp' needs the extra: pip install 'llamadapro[aiohttp]'") from error
    return AiohttpEngine(config, proxy)
