"""`maybe_applied`: an error says that a write may have taken effect where that is so, and only there."""

import asyncio

import pytest
from raw_server import RawServer, close, hang, reply

from thrive_async import ClientCredentials, Limits, NotFoundError, RateLimitError, RequestTimeout, Retry, Timeouts
from thrive_async.models import UserCreate, UserUpdate
from thrive_async.sandbox import VirtualClock

NEW_USER = UserCreate(ref="E1", first_name="A", last_name="B", email="a@example.org")


async def test_who_was_refused_and_then_never_had_its_turn_has_done_nothing(clock: VirtualClock) -> None:
    """Refused untouched, it waits for the one slot until its time is over; what was sent has been answered."""
    for refused in (reply(503), reply(429)):
        settings = {"limits": Limits(concurrency=1), "retry": Retry(base_delay=1)}
        async with RawServer([refused, hang]) as server, server.client(**settings) as thrive:
            create = asyncio.ensure_future(thrive.users.create(NEW_USER, timeouts=Timeouts(attempt=None, total=9)))
            await asyncio.sleep(0.1)
            other = asyncio.ensure_future(thrive.skills.levels(timeouts=Timeouts(attempt=None, total=None)))
            with pytest.raises(RequestTimeout) as raised:
                await create
            other.cancel()
        assert (raised.value.attempts, raised.value.maybe_applied) == (1, False)
        assert "may have taken effect" not in str(raised.value)
        assert len(server.requests) == 2


async def test_who_was_unauthorised_and_waits_for_a_token_has_done_nothing(clock: VirtualClock) -> None:
    token = reply(200, {"access_token": "t", "expires_in": 3600})
    credentials = ClientCredentials("me", "secret", client_auth="basic")
    async with RawServer([token, reply(401), hang]) as server, server.client(credentials=credentials) as thrive:
        with pytest.raises(RequestTimeout) as raised:
            await thrive.users.create(NEW_USER, timeouts=Timeouts(total=9))
        assert (raised.value.attempts, raised.value.maybe_applied) == (1, False)
        assert clock.elapsed == pytest.approx(9, abs=0.05)


async def test_an_update_of_which_one_answer_was_lost_may_have_been_done_whatever_comes_later(
    clock: VirtualClock,
) -> None:
    for lost in (close, reply(500), reply(502), reply(504), reply(200, b'{"id": "5')):
        async with RawServer([lost, reply(404)]) as server, server.client() as thrive:
            with pytest.raises(NotFoundError) as raised:
                await thrive.users.update("E1", UserUpdate(first_name="A"))
        assert raised.value.maybe_applied is True


async def test_a_refusal_during_a_longer_pause_of_all_fails_at_once_if_that_is_too_long(clock: VirtualClock) -> None:
    """Two are under way: one is told to wait for 100 seconds, the other for one. Both will have to wait for 100."""
    answers = [reply(429, Retry_After="100"), reply(429, Retry_After="1")]
    async with RawServer(list(answers)) as server, server.client(timeouts=Timeouts(total=50)) as thrive:
        results = await asyncio.gather(thrive.skills.levels(), thrive.skills.levels(), return_exceptions=True)
        assert [type(one) for one in results] == [RateLimitError, RateLimitError]
        assert clock.elapsed < 0.1
    assert len(server.requests) == 2
