"""The one road to the network: engines, retry policy, limits, deadline, redaction, reading."""

from .call_state import CallState, RawCallState
from .limits import Clock, SystemClock
from .send import Transport
from .state import Attempt, Exchange, capture

__all__ = [
    "Attempt",
    "CallState",
    "Clock",
    "Exchange",
    "RawCallState",
    "SystemClock",
    "Transport",
    "capture",
]
