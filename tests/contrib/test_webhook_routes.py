"""Webhooks as a route, in each framework: who sent it, whether it came before, and what becomes of it."""

import asyncio
import io
import json
import traceback
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import attrs
import pytest

from contrib.serving import FRAMEWORKS, counts_of, served, until
from thrive_async import DecodeError, webhooks
from thrive_async.contrib._webhooks import Inbox, hidden
from thrive_async.errors import ConfigurationError
from thrive_async.models import CompletionEvent, UserEvent
from thrive_async.sandbox import Sandbox
from thrive_async.share import FileShare, MemoryShare

pytestmark = pytest.mark.usefixtures("clock")
every_framework = pytest.mark.parametrize("framework", FRAMEWORKS)
SECRET = "s3cret-agreed-on"
GOOD = "a-good-secret"
STALE = "2020-01-01T00:00:00.000Z"


class Receiver:
    """A route of a framework, what its handler was given, and what it counted."""

    def __init__(self, framework: str, **options: Any) -> None:
        self.seen: list[Any] = []
        self.go_on = asyncio.Event()
        self.go_on.set()
        given: dict[str, Any] = {"secrets": SECRET, "handlers": {"content.completed": self.take}, **options}
        self.route = FRAMEWORKS[framework].module.webhook_route("/thrive", **given)
        self.app = FRAMEWORKS[framework].app(None, [self.route])

    async def take(self, event: Any) -> None:
        await self.go_on.wait()
        self.seen.append(event)

    @property
    def counts(self) -> dict[str, int]:
        return {name: count for name, count in attrs.asdict(counts_of(self.route)).items() if count}


@every_framework
async def test_a_delivery_is_handled_and_one_with_another_secret_is_not(framework: str, sandbox: Sandbox) -> None:
    receiver = Receiver(framework)
    async with served(receiver.app) as url:
        to = f"{url}/thrive"
        assert (await sandbox.deliver("content.completed", to=to, secret=SECRET)).status == 204
        assert (await sandbox.deliver("content.completed", to=to, secret="guessed")).status == 401
        assert (await sandbox.deliver("content.completed", to=to)).status == 401
        await until(lambda: receiver.seen)
    assert isinstance(receiver.seen[0], CompletionEvent)
    assert receiver.counts == {"accepted": 1, "handled": 1, "unsigned": 2}


@every_framework
async def test_while_a_secret_is_replaced_both_are_good(framework: str, sandbox: Sandbox) -> None:
    receiver = Receiver(framework, secrets=["the new one", "the old one"])
    async with served(receiver.app) as url:
        for secret, status in (("the new one", 204), ("the old one", 204), ("an older one", 401)):
            event = sandbox.webhooks.example("content.completed") | {"user": {"id": secret}}
            assert (await sandbox.deliver(event, to=f"{url}/thrive", secret=secret)).status == status
    assert receiver.counts["accepted"] == 2


@every_framework
async def test_an_event_is_handled_once_however_often_it_is_delivered(framework: str, sandbox: Sandbox) -> None:
    receiver = Receiver(framework)
    event = sandbox.webhooks.example("content.completed")
    async with served(receiver.app) as url:
        for second in range(3):
            dispatched = datetime.now(UTC) - timedelta(seconds=second)
            again = {**event, "dispatchedAt": dispatched.isoformat()}
            assert (await sandbox.deliver(again, to=f"{url}/thrive", secret=SECRET)).status == 204
        await until(lambda: receiver.seen)
    assert len(receiver.seen) == 1
    assert receiver.counts == {"accepted": 1, "duplicates": 2, "handled": 1}


@every_framework
async def test_a_recorded_delivery_is_not_let_in_again_later(framework: str, sandbox: Sandbox) -> None:
    receiver = Receiver(framework)
    async with served(receiver.app) as url:
        for dated in (STALE, (datetime.now(UTC) + timedelta(hours=1)).isoformat()):
            event = {**sandbox.webhooks.example("content.completed"), "dispatchedAt": dated}
            assert (await sandbox.deliver(event, to=f"{url}/thrive", secret=SECRET)).status == 401
    assert receiver.counts == {"stale": 2}


@every_framework
async def test_a_large_delivery_is_refused_before_it_is_read(framework: str, sandbox: Sandbox) -> None:
    """By its Content-Length, or once too much has come if it does not say."""
    receiver = Receiver(framework)
    asked: list[int] = []

    async def endless() -> Any:
        for number in range(1_000):
            asked.append(number)
            yield bytes(2**16)

    async with served(receiver.app) as url, aiohttp.ClientSession() as session:
        for body in (io.BytesIO(bytes(10 * 2**20)), endless()):
            try:
                async with session.post(f"{url}/thrive", data=body) as answer:
                    assert answer.status == 413
            except aiohttp.ClientConnectionError:
                pass  # the server hung up while this was still sending
        await until(lambda: receiver.counts == {"too_large": 2})
        assert len(asked) < 1_000
        # It serves the next one.
        assert (await sandbox.deliver("content.completed", to=f"{url}/thrive", secret=SECRET)).status == 204


@every_framework
async def test_the_answer_does_not_wait_for_the_handler_and_the_end_does(framework: str, sandbox: Sandbox) -> None:
    receiver = Receiver(framework)
    receiver.go_on.clear()
    async with served(receiver.app) as url:
        assert (await sandbox.deliver("content.completed", to=f"{url}/thrive", secret=SECRET)).status == 204
        assert not receiver.seen
        asyncio.get_running_loop().call_later(0.2, receiver.go_on.set)
    assert receiver.counts == {"accepted": 1, "handled": 1}


@every_framework
async def test_more_events_than_may_wait_are_sent_again_by_thrive(framework: str) -> None:
    receiver = Receiver(framework, waiting=2, at_once=1)
    receiver.go_on.clear()
    async with Sandbox(users=5, webhook_pause=0.05, webhook_retries=20) as sandbox, served(receiver.app) as url:
        sandbox.webhooks.subscribe(f"{url}/thrive", secret=SECRET, events=["content.completed"])
        content = sandbox.state.add_content()
        for user in list(sandbox.state.users.values())[:4]:
            sandbox.state.learning.complete(user, content["id"], sandbox.state.stamp())
        await until(lambda: receiver.counts.get("turned_away", 0) >= 2)
        receiver.go_on.set()
        await until(lambda: len(receiver.seen) == 4)
        await sandbox.webhooks.settled()
        assert all(delivery.is_accepted for delivery in sandbox.webhooks.deliveries)
    assert receiver.counts["accepted"] == 4


@every_framework
async def test_a_handler_that_raises_is_counted_and_logged_without_the_event(
    framework: str, sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(event: CompletionEvent) -> None:
        assert event.user is not None
        raise ValueError(event.user.email)

    receiver = Receiver(framework, handlers={"content.completed": fail})
    async with served(receiver.app) as url:
        assert (await sandbox.deliver("content.completed", to=f"{url}/thrive", secret=SECRET)).status == 204
    assert receiver.counts == {"accepted": 1, "failed": 1}
    assert "the handler of content.completed raised ValueError at " in caplog.text
    assert "test.user" not in caplog.text


@every_framework
async def test_other_events_go_to_the_default_handler_or_are_counted(framework: str, sandbox: Sandbox) -> None:
    told: list[Any] = []
    with_default, without = Receiver(framework, default=told.append), Receiver(framework)
    async with served(with_default.app) as url:
        for event_type in ("user.deactivated", "campaign.started"):
            assert (await sandbox.deliver(event_type, to=f"{url}/thrive", secret=SECRET)).status == 204
    async with served(without.app) as url:
        assert (await sandbox.deliver("user.deactivated", to=f"{url}/thrive", secret=SECRET)).status == 204
    assert isinstance(told[0], UserEvent)
    assert [event.event_type for event in told] == ["user.deactivated", "campaign.started"]
    assert without.counts == {"ignored": 1}


@every_framework
async def test_a_signed_body_that_is_no_event_is_kept_by_its_handler(
    framework: str, sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    kept: list[DecodeError] = []
    receiver = Receiver(framework, unreadable=kept.append)
    async with served(receiver.app) as url:
        assert (await sandbox.deliver(b'["private"]', to=f"{url}/thrive", secret=SECRET)).status == 204
    assert [error.body for error in kept] == [b'["private"]']
    assert receiver.counts == {"unreadable": 1, "handled": 1}
    assert "private" not in caplog.text


@every_framework
@pytest.mark.parametrize("secrets", ["", "  ", [], [GOOD, ""], [None], None, "\ud800"], ids=repr)
def test_an_empty_secret_is_refused_when_the_route_is_made(framework: str, secrets: Any) -> None:
    with pytest.raises(ConfigurationError, match="secret") as raised:
        FRAMEWORKS[framework].module.webhook_route("/thrive", secrets=secrets, handlers={})
    told = traceback.TracebackException.from_exception(raised.value, capture_locals=True)
    frames = [frame for frame in told.stack if "thrive_async" in frame.filename]
    assert frames
    assert not [value for frame in frames for value in (frame.locals or {}).values() if GOOD in value]


@pytest.mark.parametrize(
    "wrong",
    [
        {"handlers": {"user.created": "created"}},
        {"default": 5},
        {"window": 0},
        {"max_body": -1},
        {"waiting": True},
        {"at_once": float("nan")},
    ],
    ids=str,
)
def test_an_option_that_makes_no_sense_is_refused_when_the_route_is_made(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        Inbox("/thrive", **{"secrets": hidden(SECRET), "handlers": {}, **wrong})


@every_framework
async def test_a_share_remembers_for_all_processes(framework: str, sandbox: Sandbox, tmp_path: Path) -> None:
    first, second = (Receiver(framework, store=FileShare(tmp_path)) for _ in range(2))
    event = sandbox.webhooks.example("content.completed")
    for receiver in (first, second):
        async with served(receiver.app) as url:
            assert (await sandbox.deliver(event, to=f"{url}/thrive", secret=SECRET)).status == 204
    assert first.counts == {"accepted": 1, "handled": 1}
    assert second.counts == {"duplicates": 1}


@every_framework
async def test_while_the_store_cannot_be_reached_thrive_sends_again(
    framework: str, sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(MemoryShare):
        async def seen(self, scope: Any, key: str, seconds: float) -> bool:
            raise ConnectionError("redis://:password@host")

    receiver = Receiver(framework, store=Broken())
    async with served(receiver.app) as url:
        assert (await sandbox.deliver("content.completed", to=f"{url}/thrive", secret=SECRET)).status == 503
    assert receiver.counts == {"turned_away": 1}
    assert "password" not in caplog.text


@every_framework
async def test_an_application_that_was_not_opened_says_what_is_missing(framework: str, sandbox: Sandbox) -> None:
    receiver = Receiver(framework)
    if framework == "aiohttp":
        receiver.app.cleanup_ctx.clear()
    elif framework == "litestar":
        receiver.app._lifespan_managers.clear()
    else:
        receiver.app.router.lifespan_context = receiver.app.router.__class__().lifespan_context
    async with served(receiver.app) as url, aiohttp.ClientSession() as session, session.post(f"{url}/thrive") as answer:
        assert answer.status == 500
        assert "not set up" in (await answer.json())["detail"]


# Without a framework


async def once(*parts: bytes) -> Any:
    for part in parts:
        yield part


def signed(body: bytes) -> tuple[Any, str, str]:
    return once(body), str(len(body)), webhooks.sign(body, secret=SECRET)


async def test_the_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("thrive_async.contrib._webhooks._REMEMBERED", 100)
    inbox = Inbox("/thrive", secrets=hidden(SECRET), handlers={})
    inbox.open()
    for number in range(250):
        await inbox.receive(*signed(json.dumps({"eventType": "user.updated", "user": {"id": str(number)}}).encode()))
    assert len(inbox._store._ends) == 100  # type: ignore[attr-defined]
    assert inbox.counts.ignored == 250


async def test_handlers_that_do_not_end_in_time_are_stopped_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    async def forever(_: object) -> None:
        await asyncio.sleep(3600)

    inbox = Inbox("/thrive", secrets=hidden(SECRET), handlers={"user.updated": forever})
    inbox.open()
    verdict = await inbox.receive(*signed(b'{"eventType": "user.updated"}'))
    await inbox.aclose(0)
    assert verdict.status == 204
    assert inbox.counts.abandoned == 1
    assert "before 1 webhook events were handled" in caplog.text
    assert (await inbox.receive(*signed(b'{"eventType": "user.updated"}'))).status == 503


async def test_a_sender_who_leaves_while_the_store_is_asked_loses_no_event() -> None:
    handled: list[object] = []
    asked, answered = asyncio.Event(), asyncio.Event()

    class Slow(MemoryShare):
        async def seen(self, scope: Any, key: str, seconds: float) -> bool:
            asked.set()
            await answered.wait()
            return await super().seen(scope, key, seconds)

    inbox = Inbox("/thrive", secrets=hidden(SECRET), handlers={"user.updated": handled.append}, store=Slow())
    inbox.open()
    sender = asyncio.create_task(inbox.receive(*signed(b'{"eventType": "user.updated"}')))
    await asked.wait()
    sender.cancel()
    await asyncio.gather(sender, return_exceptions=True)
    answered.set()
    await until(lambda: handled)
    await inbox.aclose(5)
    assert len(handled) == 1


def test_the_secret_is_in_no_repr() -> None:
    inbox = Inbox("/thrive", secrets=hidden(SECRET), handlers={})
    assert SECRET not in repr(vars(inbox))


@pytest.mark.parametrize("length", ["101", "9" * 5_000, "1" + "0" * 50_000], ids=len)
async def test_a_delivery_that_says_it_is_too_large_is_not_read(length: str) -> None:
    """Also one whose length has more digits than Python makes a number of."""

    async def unread() -> Any:
        raise AssertionError("it was read")
        yield b""

    inbox = Inbox("/thrive", secrets=hidden(SECRET), handlers={}, max_body=100)
    inbox.open()
    assert (await inbox.receive(unread(), length, None)).status == 413
    assert inbox.counts.too_large == 1


@pytest.mark.parametrize("length", [None, "", "-1", "1e9", "0x65", "²", "0" * 5_000 + "101"], ids=ascii)
async def test_a_length_that_cannot_be_believed_decides_nothing(length: str | None) -> None:
    """What arrives is counted."""
    inbox = Inbox("/thrive", secrets=hidden(SECRET), handlers={}, max_body=100)
    inbox.open()
    body, _, signature = signed(b'{"eventType": "user.updated"}')
    assert (await inbox.receive(body, length, signature)).status == 204
    assert (await inbox.receive(once(bytes(60), bytes(60)), length, None)).status == 413
