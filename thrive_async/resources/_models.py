"""The generated models, imported on first use.

Building some seventy attrs classes takes tens of milliseconds, too long for ``import thrive_async``. So the resources
write ``models.User``: type checkers see the generated module, and at run time a stand-in imports it on first use.
``typing.get_type_hints`` works on every method for the same reason.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from thrive_async._generated import models
else:

    class _LazyModels:
        """Stands in for the module of models."""

        def __getattr__(self, name: str) -> object:
            value = getattr(import_module("thrive_async._generated.models"), name)
            setattr(self, name, value)
            return value

    models = _LazyModels()

__all__ = ["models"]
