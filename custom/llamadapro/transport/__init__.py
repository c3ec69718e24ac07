"""The one road to the network: engines, retry policy, limits, deadline, redaction, reading."""

from .clock import Clock, SystemClock
from .observe import Attempt, Exchange, recording
from .send import Transport

__all__ = ["Attempt", "Clock", "Exchange", "SystemClock", "Transport", "recording"]
