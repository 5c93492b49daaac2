"""The table of handlers."""

from thrive_async._generated.operations import OPERATIONS
from thrive_async.sandbox.handlers import HANDLERS


def test_every_operation_has_a_handler_and_every_handler_an_operation():
    assert HANDLERS.keys() | {"createAccessToken"} == OPERATIONS.keys()
