"""The one road to the network: engines, retry policy, limits, deadline, redaction, reading."""

from .clock import Clock, SystemClock
from .events import Attempt, Exchange, capture, set_up_logging
from .send import Transport

__all__ = ["Attempt", "Clock", "Exchange", "SystemClock", "Transport", "capture", "set_up_logging"]
