"""A whole Thrive on loopback: stateful, strict, and hostile on demand."""

from thrive_async.sandbox.clock import VirtualClock

__all__ = ["VirtualClock"]
