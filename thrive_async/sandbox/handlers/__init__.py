"""The handler of each operation, by operationId: it changes the state and answers. Add a new operation's handler here.

It imports the state and the settings, and nothing of the server.
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
