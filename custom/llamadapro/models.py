"""The models of answers and the typed dictionaries of requests, each loaded when it is first used."""

from typing import TYPE_CHECKING, Any

import llamadapro_api.models as _generated
from llamadapro_api.models import __all__ as __all__

if TYPE_CHECKING:  # a checker that saw `__getattr__` would take any misspelt name for one of these
    from llamadapro_api.models import *  # noqa: F403
else:

    def __getattr__(name: str) -> Any:
        return getattr(_generated, name)

    def __dir__() -> list[str]:
        return dir(_generated)
