"""What an error may drag along: nothing of the frames it came through, and no error that led to it."""

import asyncio
import traceback

import pytest

from thrive_async import ConnectionFailed
from thrive_async._http.tracebacks import framed, stripped


def failed(planted: str) -> ConnectionFailed:
    """An error as deep as any: with a cause, and a context, whose frames hold somebody."""
    try:
        try:
            {}[planted]  # type: ignore[index]
        except KeyError as error:
            raise ConnectionFailed("no answer", operation="getUser", attempts=1, maybe_applied=False) from error
    except ConnectionFailed as error:
        return error


def test_a_stripped_error_has_no_cause_no_context_and_no_frame() -> None:
    error = failed("anna@example.org")
    assert error.__cause__ is not None
    assert stripped(error) is error
    assert (error.__cause__, error.__context__, error.__traceback__) == (None, None, None)


@pytest.mark.parametrize("kind", ["an error of ours", "a cancel"])
async def test_what_leaves_a_framed_method_shows_no_frame_below_it(kind: str) -> None:
    @framed
    async def method(name: str) -> None:
        held = name
        if kind == "a cancel":
            await asyncio.sleep(10)
        raise failed(held)

    task = asyncio.ensure_future(method("anna@example.org"))
    await asyncio.sleep(0)
    task.cancel()
    (error,) = await asyncio.gather(task, return_exceptions=True)
    assert isinstance(error, ConnectionFailed | asyncio.CancelledError)
    told = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    assert "anna" not in told


async def test_a_mistake_keeps_its_traceback() -> None:
    @framed
    async def method() -> None:
        raise TypeError("5 is no name")

    with pytest.raises(TypeError) as raised:
        await method()
    assert raised.traceback[-1].name == "method"
