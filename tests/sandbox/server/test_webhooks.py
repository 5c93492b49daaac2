"""The sandbox sends webhooks: any event by hand, and by itself when its state changes."""

import asyncio
import hashlib
import hmac
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import orjson
import pytest
from aiohttp import web

from thrive_async import Problems, webhooks
from thrive_async.models import (
    AssignmentCreate,
    AssignmentUpdate,
    CompletionCreate,
    UserCreate,
    UserUpdate,
    WebhookEvent,
    WebhookEventType,
)
from thrive_async.sandbox import Sandbox, VirtualClock

SECRET = "hush"


class Receiver:
    """A URL that notes what arrives, and answers what it is told to, then 204."""

    def __init__(self) -> None:
        self.arrived: list[tuple[float, bytes, str | None]] = []
        self.answers: list[int | float] = []
        self.came = asyncio.Event()
        self.url = ""

    async def take(self, request: web.Request) -> web.Response:
        now = asyncio.get_running_loop().time()
        self.arrived.append((now, await request.read(), request.headers.get("x-hmac-signature")))
        self.came.set()
        answer = self.answers.pop(0) if self.answers else 204
        if isinstance(answer, float):
            await asyncio.sleep(answer)
            answer = 204
        return web.Response(status=answer, headers={"Location": "/elsewhere"} if answer == 307 else None)

    @property
    def events(self) -> list[dict[str, Any]]:
        return [orjson.loads(body) for _, body, _ in self.arrived]

    @property
    def types(self) -> list[str]:
        return [event["eventType"] for event in self.events]


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/thrive", receiver.take)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/thrive"
    yield receiver
    await runner.cleanup()


@pytest.fixture
async def sandbox(receiver: Receiver) -> AsyncIterator[Sandbox]:
    async with Sandbox(users=10, clock=VirtualClock(), check_replies=True) as running:
        yield running


# By hand


@pytest.mark.parametrize(
    "event_type", [*(one.value for one in WebhookEventType), "enrolment.created", "page.published"]
)
async def test_any_event_of_the_specification_is_signed_and_readable(
    event_type: str, sandbox: Sandbox, receiver: Receiver
) -> None:
    delivery = await sandbox.deliver(event_type, to=receiver.url, secret=SECRET)
    assert delivery.status == 204
    assert delivery.is_accepted
    ((_, body, signature),) = receiver.arrived
    event = webhooks.receive(body, signature, secret=SECRET)
    assert event.event_type == event_type
    assert type(event) is not WebhookEvent
    assert event.dispatched_at == sandbox.now()


async def test_the_signature_is_the_documented_one(sandbox: Sandbox, receiver: Receiver) -> None:
    await sandbox.deliver(b"any bytes", to=receiver.url, secret=SECRET)
    await sandbox.deliver({"eventType": "user.merged", "mine": 1}, to=receiver.url)
    (_, body, signature), (_, other, none) = receiver.arrived
    assert body == b"any bytes"
    assert signature == "sha256=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    assert orjson.loads(other) == {"eventType": "user.merged", "mine": 1}
    assert none is None


async def test_by_hand_an_event_is_sent_once_unless_asked_otherwise(sandbox: Sandbox, receiver: Receiver) -> None:
    receiver.answers = [500, 500, 404]
    once = await sandbox.deliver("user.created", to=receiver.url)
    assert (once.status, once.is_accepted) == (500, False)
    again = await sandbox.deliver("user.created", to=receiver.url, retry=True)
    assert again.statuses == [500, 404, 204]


async def test_a_url_where_no_one_listens_is_no_error(sandbox: Sandbox) -> None:
    assert (await sandbox.deliver("user.created", to="http://127.0.0.1:9/")).statuses == [None]


# By itself


async def test_each_change_by_the_api_is_told(
    sandbox: Sandbox, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "_problems", Problems())  # those of other tests are there as well
    sandbox.webhooks.subscribe(receiver.url, secret=SECRET)
    content = next(iter(sandbox.state.contents))
    async with sandbox.client() as thrive:
        await thrive.users.create(UserCreate(ref="A-1", first_name="Ada", last_name="L", email="ada@example.com"))
        await thrive.users.update("A-1", UserUpdate(job_title="Pilot"))
        await thrive.users.suspend("A-1")
        ada = sandbox.state.user("A-1")
        await thrive.completions.create(
            CompletionCreate(user_id=ada["id"], content_id=content, completed_at=sandbox.now())
        )
        # Thrive had it already.
        await thrive.completions.create(
            CompletionCreate(user_id=ada["id"], content_id=content, completed_at=sandbox.now())
        )
        assignment = await thrive.assignments.create(AssignmentCreate(audience_id="sales-emea", content_id=content))
        change = AssignmentUpdate(audience_id="sales-emea", completion_period=5)
        await thrive.assignments.update(assignment.id, change)
        await thrive.assignments.delete(assignment.id, audience_id="sales-emea")
        await thrive.users.delete("A-1")
    await sandbox.webhooks.settled()
    told = dict(zip(receiver.types, receiver.events, strict=True))
    assert sorted(receiver.types) == sorted(
        [
            *("user.created", "user.updated", "user.deactivated", "user.deactivated", "content.completed"),
            *("assignment.assigned", "assignment.updated", "assignment.removed"),
        ]
    )
    assert told["content.completed"]["user"]["reference"] == "A-1"
    assert told["content.completed"]["content"]["id"] == content
    assert told["user.created"]["user"]["status"] == "active"
    assert told["user.deactivated"]["user"] | {"role": None} == {
        "id": ada["id"], "reference": "A-1", "email": "ada@example.com", "firstName": "Ada", "lastName": "L",
        "status": "inactive", "role": None,
    }  # fmt: skip
    members = sandbox.state.audiences["sales-emea"].members
    assert len(told["assignment.assigned"]["users"]) == len(members)
    assert told["assignment.updated"]["assignment"]["completionPeriod"] == 5
    for _, body, signature in receiver.arrived:
        assert type(webhooks.receive(body, signature, secret=SECRET)) is not WebhookEvent
    assert not webhooks.problems()


async def test_a_member_who_joins_is_told_of_the_assignments(sandbox: Sandbox, receiver: Receiver) -> None:
    sandbox.webhooks.subscribe(receiver.url, events=["assignment.*"])
    newcomer = sandbox.state.add_user()
    sandbox.state.audiences["sales-emea"].members.add(newcomer)
    await sandbox.webhooks.settled()
    assert set(receiver.types) == {"assignment.assigned"}
    assert [user["id"] for event in receiver.events for user in event["users"]] == [newcomer["id"]] * len(
        receiver.events
    )


async def test_only_the_events_that_were_subscribed_are_sent(sandbox: Sandbox, receiver: Receiver) -> None:
    sandbox.state.add_user()
    mine = sandbox.webhooks.subscribe(receiver.url, events=["content.*", "user.updated"])
    sandbox.state.add_user()
    sandbox.state.add_content()
    await sandbox.webhooks.settled()
    mine.cancel()
    sandbox.state.add_content()
    await sandbox.webhooks.settled()
    assert receiver.types == ["content.created"]


async def test_an_event_is_sent_again_as_thrive_does(sandbox: Sandbox, receiver: Receiver) -> None:
    """Whatever the answer is, if it is no 2xx within 30 seconds: five times, after pauses that grow."""
    sandbox.webhooks.subscribe(receiver.url, secret=SECRET)
    receiver.answers = [500, 401, 307, 60.0, 429]
    sandbox.state.add_content()
    await sandbox.webhooks.settled()
    (delivery,) = sandbox.webhooks.deliveries
    assert delivery.statuses == [500, 401, 307, None, 429, 204]
    moments = [moment for moment, _, _ in receiver.arrived]
    pauses = [later - earlier for earlier, later in pairwise(moments)]
    assert pauses == pytest.approx([1, 2, 4, 30 + 8, 16], abs=0.5)


@pytest.mark.parametrize(("choice", "different"), [("attempt", 2), ("first", 1)])
async def test_an_event_that_is_sent_again_has_one_fingerprint(
    choice: str, different: int, receiver: Receiver, clock: VirtualClock
) -> None:
    """Whether or not `dispatchedAt` changes, which is not documented."""
    async with Sandbox(users=1, clock=clock, webhook_dispatched_at=choice) as sandbox:
        sandbox.webhooks.subscribe(receiver.url)
        receiver.answers = [500]
        sandbox.state.add_content()
        await sandbox.webhooks.settled()
    assert len({webhooks.fingerprint(body) for _, body, _ in receiver.arrived}) == 1
    assert len({event["dispatchedAt"] for event in receiver.events}) == different


@pytest.mark.parametrize("choice", ["name", "id"])
async def test_the_tenant_of_an_event_is_a_name_or_the_id(choice: str, receiver: Receiver, clock: VirtualClock) -> None:
    async with Sandbox(users=1, clock=clock, webhook_tenant=choice) as sandbox:
        await sandbox.deliver("user.created", to=receiver.url)
        assert receiver.events[0]["tenantId"] == ("acme-corp" if choice == "name" else sandbox.tenant_id)


async def test_an_event_that_is_never_accepted_is_given_up(sandbox: Sandbox, receiver: Receiver) -> None:
    sandbox.webhooks.subscribe(receiver.url)
    receiver.answers = [500] * 10
    sandbox.state.add_content()
    await sandbox.webhooks.settled()
    assert sandbox.webhooks.deliveries[0].statuses == [500] * 6


async def test_a_sandbox_that_stops_leaves_no_delivery_behind(receiver: Receiver, clock: VirtualClock) -> None:
    receiver.answers = [60.0]
    async with Sandbox(users=1, clock=clock) as sandbox:
        sandbox.webhooks.subscribe(receiver.url)
        sandbox.state.add_content()
        await receiver.came.wait()
    sandbox.state.add_content()  # it listens no more, and this is no error
    assert len(receiver.arrived) == 1


async def test_a_sandbox_in_a_thread_tells_as_well(receiver: Receiver) -> None:
    with Sandbox(users=1) as sandbox:
        sandbox.webhooks.subscribe(receiver.url)
        sandbox.state.add_content()
        await receiver.came.wait()
    assert receiver.types == ["content.created"]


async def test_a_mistake_in_a_subscription_is_told_at_once(sandbox: Sandbox) -> None:
    with pytest.raises(TypeError, match="a list of event types"):
        sandbox.webhooks.subscribe("http://127.0.0.1/", events="user.created")
    with pytest.raises(ValueError, match="must begin with http"):
        sandbox.webhooks.subscribe("127.0.0.1/thrive")
    assert SECRET not in repr(sandbox.webhooks.subscribe("http://127.0.0.1/", secret=SECRET))


async def test_the_deliveries_that_are_kept_are_bounded_like_the_requests(
    receiver: Receiver, clock: VirtualClock
) -> None:
    async with Sandbox(users=1, clock=clock, journal_size=2) as sandbox:
        sandbox.webhooks.subscribe(receiver.url)
        for _ in range(5):
            sandbox.state.add_content()
        await sandbox.webhooks.settled()
        assert len(sandbox.webhooks.deliveries) == 2
    assert len(receiver.arrived) == 5
