"""The one road to the network: engines, retry policy, limits, deadline, redaction, reading."""

from .call_state import CallState, RawCallState
from .events import Attempt, Exchange, capture, set_up_logging
from .limits import Clock, SystemClock
from .send import Transport

__all__ = [
    "Attempt",
    "CallState",
    "Clock",
    "Exchange",
    "RawCallState",
    "SystemClock",
    "Transport",
    "capture",
    "set_up_logging",
]
