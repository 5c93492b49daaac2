"""The models, imported when a client is built, and not with the resources.

Some seventy attrs classes cost tens of milliseconds to build, and a program that imports ``thrive_async`` may need none
of them for a while. So the resources name every model as ``models.User``: type checkers and editors see the generated
module, and at run time an object stands in its place that imports the module, if nobody has, at the first look-up.
``typing.get_type_hints`` works on every method for the same reason.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from thrive_async._generated import models
else:

    class _LazyModels:
        """Stands for the module of models and remembers what was asked of it."""

        def __getattr__(self, name: str) -> object:
            value = getattr(import_module("thrive_async._generated.models"), name)
            setattr(self, name, value)
            return value

    models = _LazyModels()

__all__ = ["models"]
