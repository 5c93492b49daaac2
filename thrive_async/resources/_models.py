"""The generated models, imported on first use: ``from thrive_async.resources import _models as models``.

Building some seventy attrs classes takes tens of milliseconds, too long for ``import thrive_async``. Type checkers see
the generated models, and so does ``typing.get_type_hints``.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from thrive_async._generated.models import *  # noqa: F403
else:

    def __getattr__(name: str) -> object:
        from thrive_async._generated import models  # noqa: PLC0415

        value = globals()[name] = getattr(models, name)
        return value
