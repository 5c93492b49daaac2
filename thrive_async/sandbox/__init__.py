"""A whole Thrive on loopback: stateful, strict, and hostile on demand."""

from thrive_async.sandbox.clock import VirtualClock
from thrive_async.sandbox.sandbox import Sandbox

__all__ = ["Sandbox", "VirtualClock"]
