"""Webhooks that the sandbox sends: any event by hand, and by itself when its state changes."""

import asyncio
import hashlib
import hmac
import logging
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from datetime import datetime
from fnmatch import fnmatchcase
from io import BytesIO
from typing import Any, Final

import aiohttp
import attrs
import orjson

from thrive_async.sandbox.settings import Settings
from thrive_async.sandbox.state.records import Record, timestamp

__all__ = ["Delivery", "Subscription", "Webhooks"]

_LOG: Final = logging.getLogger("thrive_async.sandbox")
_TIMEOUT: Final = aiohttp.ClientTimeout(total=30.0)
"""Thrive waits 30 seconds for an answer."""
_KINDS: Final = {
    "assignment": "AssignmentEvent",
    "enrolment": "AssignmentEvent",
    "notification": "NotificationEvent",
    "user": "UserEvent",
}


@attrs.define(eq=False)
class Delivery:
    """One event on its way to one URL.

    Attributes:
        event: The event.
        url: Where it goes.
        statuses: The answer to each attempt: a status, or None if the connection failed or no answer came in time.
    """

    event: Mapping[str, Any] = attrs.field(repr=False)
    url: str
    statuses: list[int | None] = attrs.field(factory=list[int | None])

    @property
    def status(self) -> int | None:
        """The answer to the last attempt."""
        return self.statuses[-1] if self.statuses else None

    @property
    def is_accepted(self) -> bool:
        """Whether the last answer was a 2xx."""
        return self.status is not None and 200 <= self.status < 300


@attrs.define(eq=False)
class Subscription:
    """A URL that is told of events.

    Attributes:
        url: Where the events go.
        events: Event types, or patterns such as `content.*`.
    """

    url: str
    events: tuple[str, ...]
    _secret: str | None = attrs.field(repr=False)
    _all: list["Subscription"] = attrs.field(repr=False)

    def cancel(self) -> None:
        """Send no further events. Safe to repeat."""
        if self in self._all:
            self._all.remove(self)


class Webhooks:
    """The webhooks of one sandbox.

    With a subscription, each change made through the API, or through the methods of `sandbox.state`, sends an event:

    - `content.completed` for a completion, `content.created` for a new content;
    - `user.created`, `user.updated`, `user.activated`, `user.deactivated` (suspended or deleted);
    - `assignment.assigned` (also for members who join later), `assignment.updated`, `assignment.removed`.

    An event that is not answered with a 2xx within 30 seconds is sent again, five times by default, with growing
    pauses on the sandbox's clock.

    Attributes:
        deliveries: What was sent by itself, in order: all of it, or the latest `journal_size`.

    Example:
        ```python
        sandbox.webhooks.subscribe("http://127.0.0.1:8000/thrive", secret="hush", events=["content.completed"])
        ```
    """

    def __init__(
        self, *, now: Callable[[], datetime], settings: Settings, tenant_id: str, schemas: Mapping[str, Any]
    ) -> None:
        self.deliveries: deque[Delivery] = deque(maxlen=settings.journal_size)
        self._now = now
        self._settings = settings
        self._tenant = tenant_id if settings.webhook_tenant == "id" else "acme-corp"
        self._schemas = schemas
        self._subscriptions: list[Subscription] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None

    def subscribe(self, url: str, *, secret: str | None = None, events: Iterable[str] = ("*",)) -> Subscription:
        """Send events to a URL from now on.

        Args:
            url: The URL.
            secret: Signs each delivery. None for no signature, as if none was agreed on with Thrive.
            events: Event types, or patterns such as `content.*`.

        Returns:
            The subscription, to cancel it.

        Raises:
            TypeError: `events` is a string rather than a list.
            ValueError: The URL is not http or https.
        """
        if isinstance(events, str):
            raise TypeError(f"events must be a list of event types, such as [{events!r}]")
        if not url.startswith(("http://", "https://")):
            raise ValueError(f"the url must begin with http:// or https://, not {url!r}")
        subscription = Subscription(url, tuple(events), secret, self._subscriptions)
        self._subscriptions.append(subscription)
        return subscription

    def example(self, event_type: str) -> dict[str, Any]:
        """Return an event of this type with the specification's example values, as it would be sent now.

        Args:
            event_type: Such as `content.completed`.
        """
        if event_type in ("content.completed", "content.passed"):
            kind = "CompletionEvent"
        else:
            group = event_type.partition(".")[0]
            of_content = group in ("content", "page", "post", "comment", "moderation")
            kind = "ContentChangeEvent" if of_content else _KINDS.get(group, "WebhookEvent")
        event: dict[str, Any] = deepcopy(self._schemas[kind]["examples"][0])
        stamp = timestamp(self._now())
        event |= {"eventType": event_type, "tenantId": self._tenant, "createdAt": stamp, "dispatchedAt": stamp}
        if "notification" in event:
            event["notification"] |= {"createdAt": stamp, "dispatchedAt": stamp}
        return event

    async def deliver(
        self, event: str | bytes | Mapping[str, Any], *, to: str, secret: str | None = None, retry: bool = False
    ) -> Delivery:
        """Sign an event and deliver it.

        Args:
            event: An event type, for the specification's example of it; or an event of your own as a mapping, or the
                bytes of any body.
            to: The URL.
            secret: Signs the delivery. None for no signature.
            retry: Whether to send it again as Thrive does, if it is not answered with a 2xx.

        Returns:
            The delivery, with the status of each attempt.

        Example:
            ```python
            delivery = await sandbox.deliver("content.completed", to=f"{url}/thrive", secret="hush")
            assert delivery.status == 204
            ```
        """
        if isinstance(event, str):
            event = self.example(event)
        body = event if isinstance(event, bytes) else None
        delivery = Delivery({} if isinstance(event, bytes) else dict(event), to)
        await self._send(delivery, secret, retries=self._settings.webhook_retries if retry else 0, body=body)
        return delivery

    def announce(
        self,
        event_type: str,
        *,
        user: Record | None = None,
        content: Mapping[str, Any] | None = None,
        assignment: Mapping[str, Any] | None = None,
        users: Iterable[Record] = (),
    ) -> None:
        """Send an event to those who subscribed to its type. The state calls this; it returns at once."""
        told = [one for one in self._subscriptions if any(fnmatchcase(event_type, wanted) for wanted in one.events)]
        if not told or self._loop is None:
            return
        stamp = timestamp(self._now())
        event: dict[str, Any] = {"eventType": event_type, "tenantId": self._tenant, "createdAt": stamp}
        if user is not None:
            event["user"] = _person(user)
            if event_type.startswith("user."):
                event["user"] |= {"status": user["status"], "role": user["role"]}
        if content is not None:
            event["content"] = {**{name: content[name] for name in ("id", "title", "type")}, "urls": []}
        if assignment is not None:
            event["assignment"] = _task(assignment)
            event["users"] = [_person(one) for one in users]
        for subscription in told:
            delivery = Delivery({**event, "dispatchedAt": stamp}, subscription.url)
            self.deliveries.append(delivery)
            # The state may be changed from another thread, if the sandbox runs in one of its own.
            self._loop.call_soon_threadsafe(self._begin, delivery, subscription)

    async def settled(self) -> None:
        """Wait until each event has been accepted or given up. With a virtual clock it takes no time."""
        await asyncio.sleep(0)  # what was announced in this turn of the loop begins in the next
        while self._tasks:
            await asyncio.wait(self._tasks)

    def open(self) -> None:
        """Send from the running loop. The sandbox calls this when it starts."""
        self._loop = asyncio.get_running_loop()

    async def aclose(self) -> None:
        """Stop sending. The sandbox calls this when it stops."""
        self._loop = None
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _begin(self, delivery: Delivery, subscription: Subscription) -> None:
        if self._loop is not None:
            secret = subscription._secret  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - hidden from its users alone
            task = self._loop.create_task(self._send(delivery, secret, retries=self._settings.webhook_retries))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _send(self, delivery: Delivery, secret: str | None, *, retries: int, body: bytes | None = None) -> None:
        async with aiohttp.ClientSession(timeout=_TIMEOUT) as session:
            for attempt in range(retries + 1):
                if attempt:
                    await asyncio.sleep(self._settings.webhook_pause * 2 ** (attempt - 1))
                    if self._settings.webhook_dispatched_at == "attempt" and "dispatchedAt" in delivery.event:
                        delivery.event = {**delivery.event, "dispatchedAt": timestamp(self._now())}
                sent = orjson.dumps(delivery.event) if body is None else body
                headers = {"Content-Type": "application/json"}
                if secret is not None:
                    digest = hmac.new(secret.encode(), sent, hashlib.sha256).hexdigest()
                    headers["x-hmac-signature"] = f"sha256={digest}"
                try:
                    async with session.post(
                        delivery.url, data=BytesIO(sent), headers=headers, allow_redirects=False
                    ) as answer:
                        delivery.statuses.append(answer.status)
                except (aiohttp.ClientError, OSError, TimeoutError):
                    delivery.statuses.append(None)
                if delivery.is_accepted:
                    return
        if retries:
            _LOG.warning("gave up a webhook after %d attempts", len(delivery.statuses))


def _person(user: Record) -> dict[str, Any]:
    return {
        "id": user["id"],
        "reference": user["ref"],
        "email": user["email"],
        "firstName": user["firstName"],
        "lastName": user["lastName"],
    }


def _task(assignment: Mapping[str, Any]) -> dict[str, Any]:
    days = assignment["recurrence"]
    names = ("id", "audienceId", "primaryContentId", "completionPeriod")
    return {
        **{name: assignment[name] for name in names},
        "recurring": days is not None,
        "recurrence": None if days is None else f"P{days}D",
    }
