"""What each operation does to the state and answers, by operationId; a new operation adds its handler here.

Imports the state and the settings below it, and nothing of the server.
"""

from collections.abc import Callable, Mapping
from typing import Final

from thrive_async.sandbox.handlers import audiences, catalogue, learning, members, provisioning, users
from thrive_async.sandbox.handlers.replies import Call, Reply

__all__ = ["HANDLERS"]

HANDLERS: Final[Mapping[str, Callable[[Call], Reply]]] = {
    **users.HANDLERS,
    **audiences.HANDLERS,
    **members.HANDLERS,
    **learning.HANDLERS,
    **catalogue.HANDLERS,
    **provisioning.HANDLERS,
}
