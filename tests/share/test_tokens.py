"""One token for all processes, fetched by one of them."""

import asyncio

import pytest
from cryptography.fernet import Fernet

from thrive_async.sandbox import VirtualClock
from thrive_async.share import Cipher, MemoryShare, Scope, SharedToken, SharedTokens

SCOPE = Scope("thrive.example", "tenant")


class Endpoint:
    """Gives out numbered tokens."""

    def __init__(self, *, lifetime: float = 3_600.0, takes: float = 0.0) -> None:
        self.asked = 0
        self.lifetime, self.takes = lifetime, takes
        self.broken = False

    async def fetch(self) -> tuple[str, float]:
        self.asked += 1
        number = self.asked
        await asyncio.sleep(self.takes)
        if self.broken:
            raise ConnectionError("the endpoint is broken")
        return f"token {number}", self.lifetime


def processes(share: MemoryShare, endpoint: Endpoint, count: int, *identity: str) -> list[SharedTokens]:
    return [SharedTokens(share, SCOPE, identity or ("client",), endpoint.fetch) for _ in range(count)]


async def test_a_slow_endpoint_is_asked_once(clock: VirtualClock) -> None:
    """The lock outlives it, however slow it is."""
    endpoint = Endpoint(takes=95.0)
    found = await asyncio.gather(*(each.token() for each in processes(MemoryShare(), endpoint, 4) * 5))
    assert {token.text for token in found} == {"token 1"}
    assert endpoint.asked == 1


@pytest.mark.parametrize(("lifetime", "used"), [(3_600.0, 3_540.0), (10.0, 5.0)])
async def test_a_token_is_used_until_a_minute_before_its_end(clock: VirtualClock, lifetime: float, used: float) -> None:
    """One that lasts less than two minutes for half of its time."""
    endpoint = Endpoint(lifetime=lifetime)
    first, second = processes(MemoryShare(), endpoint, 2)
    assert (await first.token()).seconds == used
    await asyncio.sleep(used / 2)
    assert (await second.token()).seconds == used / 2
    await asyncio.sleep(used / 2)
    assert (await second.token()).text == "token 2"
    assert endpoint.asked == 2


async def test_a_late_401_does_not_forget_the_new_token(clock: VirtualClock) -> None:
    endpoint = Endpoint()
    first, second = processes(MemoryShare(), endpoint, 2)
    refused = await first.token()
    assert (await second.token(refused=refused)).text == "token 2"
    assert (await first.token(refused=refused)).text == "token 2"
    assert endpoint.asked == 2


async def test_a_dead_fetcher_is_replaced(clock: VirtualClock) -> None:
    """It died with the lock in its hand: after ten seconds another process asks."""
    share, endpoint = MemoryShare(), Endpoint()
    (tokens,) = processes(share, endpoint, 1)
    await share.take(SCOPE, tokens._name, 10.0)
    assert (await tokens.token()).text == "token 1"
    assert clock.elapsed == pytest.approx(10.0, abs=0.5)


async def test_a_failure_is_the_fetchers_and_the_next_process_tries(clock: VirtualClock) -> None:
    endpoint = Endpoint(takes=1.0)
    endpoint.broken = True
    first, second = processes(MemoryShare(), endpoint, 2)
    ends = await asyncio.gather(first.token(), second.token(), return_exceptions=True)
    assert [type(end) for end in ends] == [ConnectionError, ConnectionError]
    endpoint.broken = False
    assert (await first.token()).text == "token 3"


async def test_a_cancelled_fetch_leaves_no_lock(clock: VirtualClock) -> None:
    endpoint = Endpoint(takes=5.0)
    first, second = processes(MemoryShare(), endpoint, 2)
    task = asyncio.create_task(first.token())
    await asyncio.sleep(1)
    task.cancel()
    await asyncio.wait((task,))
    assert (await second.token()).text == "token 2"
    assert clock.elapsed == pytest.approx(6.0)


async def test_credentials_have_tokens_of_their_own(clock: VirtualClock) -> None:
    share, endpoint = MemoryShare(), Endpoint()
    (one,) = processes(share, endpoint, 1, "client", "api/read")
    (other,) = processes(share, endpoint, 1, "client", "api/write")
    assert (await one.token()).text != (await other.token()).text
    # Names in the store tell nothing of the client id.
    assert "client" not in str(share._values.keys())


async def test_tokens_need_not_be_stored(clock: VirtualClock) -> None:
    share, endpoint = MemoryShare(), Endpoint()
    share.tokens = False
    for each in processes(share, endpoint, 2):
        await each.token()
    assert endpoint.asked == 2
    assert not share._values


async def test_a_cipher_encrypts_what_is_stored(clock: VirtualClock) -> None:
    """A process with another key fetches a token of its own, which then replaces the one it could not read."""
    share, endpoint = MemoryShare(), Endpoint()
    key: Cipher = Fernet(Fernet.generate_key())
    share.tokens = key
    first, second = processes(share, endpoint, 2)
    await first.token()
    assert (await second.token()).text == "token 1"
    ((stored, _),) = share._values.values()
    assert b"token" not in stored
    share.tokens = Fernet(Fernet.generate_key())
    assert (await second.token()).text == "token 2"
    assert (await second.token(refused=SharedToken("token 1", 1.0))).text == "token 2"
    assert endpoint.asked == 2


async def test_a_token_is_not_shown(clock: VirtualClock) -> None:
    (tokens,) = processes(MemoryShare(), Endpoint(), 1)
    assert "token 1" not in repr(await tokens.token())
