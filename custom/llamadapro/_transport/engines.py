"""Which engine a configuration asks for."""

from __future__ import annotations

import httpx

from .._config import Config
from ..errors import ConfigurationError
from .base_engine import Engine
from .httpx_engine import HttpxEngine, UserClientEngine
from .proxies import environment_proxy


def build_engine(config: Config) -> Engine:
    """The engine that a configuration asks for; nothing is opened yet."""
    if config.http_client is not None:
        return UserClientEngine(config.http_client)
    proxy = config.proxy or environment_proxy(config.base_url, config.engine)
    try:
        return _aiohttp_engine(config, proxy) if config.engine == "aiohttp" else HttpxEngine(config, proxy)
    except ImportError as error:
        raise ConfigurationError(
            f"engine='{config.engine}' needs the extra: pip install 'llamadapro[{config.engine}]'"
        ) from error


def _aiohttp_engine(config: Config, proxy: httpx.Proxy | None) -> Engine:
    from .aiohttp_engine import AiohttpEngine

    return AiohttpEngine(config, proxy)
