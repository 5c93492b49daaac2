"""`with_options`: a view of a client, and what its calls carry."""

import asyncio
import logging
from typing import Any

import attrs
import pytest
from raw_server import KEY, TENANT, USER, RawRequest, RawServer, reply
from yarl import URL

from thrive_async import (
    ApiKey,
    ConfigurationError,
    DecodeError,
    InvalidArgument,
    Limits,
    RequestTimeout,
    Retry,
    ServerError,
    ThriveClient,
    ThrivePool,
    Timeouts,
    correlation_id,
    sync,
)
from thrive_async.models import UserUpdate
from thrive_async.sandbox import Sandbox, VirtualClock


async def test_a_view_shares_connections_token_gate_and_what_was_learnt(sandbox: Sandbox) -> None:
    async with sandbox.client(credentials=sandbox.oauth) as thrive:
        view = thrive.with_options(timeouts=Timeouts(total=5)).with_options(priority="bulk")
        await thrive.skills.levels()
        await view.skills.levels()
        await view.audiences.members.list("emea").first()
        await view.cpd.entries.list().first()
        assert len(sandbox.requests.of("createAccessToken")) == 1
        assert view.problems is thrive.problems
        assert view.limits is thrive.limits
        assert view.users._page_sizes is thrive.users._page_sizes
        assert repr(view) == repr(thrive)


async def test_closing_a_view_leaves_the_client_open(server: RawServer) -> None:
    async with server.client() as thrive:
        async with thrive.with_options() as view:
            await view.users.get("u1")
        await view.users.get("u1")
        await thrive.users.get("u1")
    assert server.connections == 1
    with pytest.raises(ConfigurationError, match="is closed"):
        await view.users.get("u1")


async def test_the_timeouts_of_a_view_are_those_of_its_calls_that_bring_none(clock: VirtualClock) -> None:
    async with Sandbox(users=1, clock=clock, latency=3) as sandbox, sandbox.client() as thrive:
        view = thrive.with_options(timeouts=Timeouts(total=1))
        for call in (view.skills.levels(), view.users.list().collect(), view.request("GET", "/rest/v1/skills/levels")):
            with pytest.raises(RequestTimeout, match=r"Timeouts.total = 1 s"):
                await call
        await view.skills.levels(timeouts=Timeouts(total=10))
        await thrive.skills.levels()


async def test_the_retry_of_a_view_repeats_its_calls(clock: VirtualClock) -> None:
    async with RawServer([reply(500)]) as server, server.client(retry=Retry(max_attempts=1)) as thrive:
        view = thrive.with_options(retry=Retry(max_attempts=3))
        assert (view.retry.max_attempts, thrive.retry.max_attempts, view.timeouts) == (3, 1, thrive.timeouts)
        for client, attempts in ((view, 3), (thrive, 1), (view.with_options(retry=Retry(max_attempts=2)), 2)):
            with pytest.raises(ServerError) as raised:
                await client.users.get("u1")
            assert raised.value.attempts == attempts


def sizes_of(sandbox: Sandbox) -> list[str]:
    """The page sizes that were sent since this was asked last."""
    sizes = [request.query["perPage"] for request in sandbox.requests]
    sandbox.requests.clear()
    return sizes


async def test_a_view_sends_a_page_size_of_its_own(sandbox: Sandbox) -> None:
    async with sandbox.client(limits=Limits(concurrency=48, per_page=50)) as thrive:
        view = thrive.with_options(limits=Limits(per_page=25))
        for client, size in (
            (view, "25"),
            (thrive, "50"),
            (thrive.with_options(limits=attrs.evolve(thrive.limits, per_page=200)), "200"),
            (thrive.with_options(limits=Limits(per_page=1000)), "1000"),
            (view.with_options(priority="bulk"), "25"),
            (view.with_options(limits=Limits(per_page=10)), "10"),
            (view.with_options(limits=thrive.limits), "50"),
        ):
            assert len(await client.users.list().collect()) == 60
            await client.audiences.members.list("emea").collect()
            await client.cpd.entries.list().collect()
            assert set(sizes_of(sandbox)) == {size}
        assert await view.users.list(per_page=30).collect()
        assert set(sizes_of(sandbox)) == {"30"}, "a size that the call names goes first"


def test_a_limit_at_its_default_keeps_the_clients() -> None:
    limits = Limits(concurrency=48, rate=20, burst=5, max_reply_bytes=1000, per_page=50)
    thrive = ThriveClient(TENANT, ApiKey(KEY), limits=limits)
    view = thrive.with_options(limits=Limits(per_page=200))
    assert view.limits == attrs.evolve(limits, per_page=200)
    assert view.with_options(limits=Limits(max_reply_bytes=5)).limits == attrs.evolve(
        limits, per_page=200, max_reply_bytes=5
    )
    assert view.with_options(limits=Limits()).limits == view.limits
    assert thrive.with_options(limits=attrs.evolve(limits, per_page=7)).limits == attrs.evolve(limits, per_page=7)
    assert thrive.limits is limits


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (Limits(concurrency=5), "Limits.concurrency cannot be 5 in a view: all views of a client share one gate"),
        (Limits(rate=20, per_page=200), r"Limits\.rate cannot be 20 in a view: .* one gate, where it is 10\. Leave it"),
        (Limits(rate=10, burst=3), "Limits.burst cannot be 3 in a view: .* set it where you build the client or pool"),
    ],
)
def test_a_limit_of_the_gate_is_refused_in_a_view(given: Limits, words: str) -> None:
    thrive = ThriveClient(TENANT, ApiKey(KEY), limits=Limits(concurrency=48, rate=10))
    for client in (thrive, thrive.with_options(limits=Limits(per_page=20))):
        with pytest.raises(InvalidArgument, match=words):
            client.with_options(limits=given)


def test_each_limit_is_either_the_views_or_refused() -> None:
    """A new field of `Limits` has to be sorted: until then, views refuse it."""
    thrive = ThriveClient(TENANT, ApiKey(KEY), limits=Limits(rate=10))
    refused: set[str] = set()
    for field in attrs.fields(Limits):
        try:
            thrive.with_options(limits=attrs.evolve(thrive.limits, **{field.name: 77}))
        except InvalidArgument as error:
            assert error.arguments == (f"Limits.{field.name}",)  # noqa: PT017 - not every field raises
            refused.add(field.name)
    assert refused == {"concurrency", "rate", "burst"}


@pytest.mark.parametrize(("client_takes", "view_takes"), [(True, False), (False, True)])
async def test_a_view_takes_replies_as_large_as_it_says(sandbox: Sandbox, client_takes: bool, view_takes: bool) -> None:
    """The token is the client's, so it comes even if the view takes next to nothing."""
    most = {True: 1_000_000, False: 1000}
    limits = Limits(max_reply_bytes=most[client_takes])
    async with sandbox.client(credentials=sandbox.oauth, limits=limits) as thrive:
        view = thrive.with_options(limits=Limits(max_reply_bytes=most[view_takes] if view_takes else 20))
        for client, takes, limit in ((view, view_takes, "20"), (thrive, client_takes, "1,000")):
            for call in (client.users.list().collect, lambda: client.request("GET", "/rest/v1/users")):  # noqa: B023
                if takes:
                    assert await call()
                else:
                    with pytest.raises(DecodeError, match=rf"larger than Limits\.max_reply_bytes = {limit}$"):
                        await call()
        assert len(sandbox.requests.of("createAccessToken")) == 1


async def test_what_a_view_learns_about_a_page_size_is_for_that_size_alone() -> None:
    sizes: list[int] = []

    async def tags(request: RawRequest, writer: asyncio.StreamWriter) -> None:
        sizes.append(int(URL(request.target).query["perPage"]))
        refused = sizes[-1] in refusing
        writer.write(reply(422) if refused else reply(200, [{"id": f"t{index}"} for index in range(3)]))

    async with RawServer([tags]) as server, server.client() as thrive:
        refusing = {500}
        for _ in range(2):
            # As for web requests: each makes a view, and one refusal is enough for all.
            await thrive.with_options(limits=Limits(per_page=500)).tags.list().collect()
        assert sizes.count(500) == 1
        await thrive.tags.list().first()
        await thrive.tags.list().collect()
        assert 1000 in sizes, "the client's size stays"
        refusing, known = {1000}, len(sizes)
        await thrive.tags.list().collect()
        await thrive.with_options(limits=Limits(per_page=400)).tags.list().collect()
        assert sizes[known:].count(1000) == 1
        assert 400 in sizes[known:], "and so does the view's"


async def test_a_view_of_a_pools_client_has_limits_of_its_own(sandbox: Sandbox) -> None:
    pool = ThrivePool(lambda _: sandbox.credentials, base_url=sandbox.base_url, limits=Limits(concurrency=3))
    async with pool:
        thrive = await pool.client(sandbox.tenant_id)
        view = thrive.with_options(limits=Limits(per_page=25))
        await view.users.list().collect()
        assert set(sizes_of(sandbox)) == {"25"}
        assert (view.limits.concurrency, thrive.limits.per_page) == (3, None)
        with pytest.raises(InvalidArgument, match="where it is 3"):
            view.with_options(limits=Limits(concurrency=4))


async def test_a_sync_reads_with_the_limits_of_its_view(sandbox: Sandbox, thrive: ThriveClient) -> None:
    await sync.plan_members(thrive.with_options(limits=Limits(per_page=25)), "emea", ["E00001"], removals=False)
    assert {one.query["perPage"] for one in sandbox.requests.of("listMembers")} == {"25"}


async def test_headers_of_the_caller_go_along(server: RawServer) -> None:
    async with server.client() as thrive:
        view = thrive.with_options(headers={"traceparent": "00-1", "X-Team": "a"})
        await view.with_options(headers={"x-team": "b"}).users.get("u1")
        await view.users.get("u1")
        await thrive.users.get("u1")
    sent = [(request.headers.get("traceparent"), request.headers.get("x-team")) for request in server.requests]
    assert sent == [("00-1", "b"), ("00-1", "a"), (None, None)]
    assert "00-1" not in repr(view._options)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"headers": {"Authorization": "x"}}, InvalidArgument, "must not hold Authorization: the client sets it"),
        ({"headers": {"content-TYPE": "x"}}, InvalidArgument, "must not hold content-TYPE"),
        ({"headers": {"Cookie": "x"}}, InvalidArgument, "must not hold Cookie"),
        ({"headers": {"a b": "x"}}, InvalidArgument, "a name that no header can have"),
        ({"headers": {"a": "x\r\nAuthorization: y"}}, InvalidArgument, "the value of a must be printable ASCII"),
        ({"headers": {"a": 5}}, TypeError, "strings to strings"),
        ({"timeouts": 5}, TypeError, "timeouts must be Timeouts, not int"),
        ({"retry": 5}, TypeError, "retry must be Retry, not int"),
        ({"limits": 5}, TypeError, "limits must be Limits, not int"),
        ({"priority": "high"}, InvalidArgument, 'priority must be "interactive" or "bulk"'),
    ],
)
def test_options_that_cannot_be_meant_are_refused(options: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        ThriveClient(TENANT, ApiKey(KEY)).with_options(**options)


async def test_a_correlation_id_is_sent_and_logged(server: RawServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "thrive_async")

    async def web_request(number: int) -> None:
        correlation_id.set(f"web {number}\r\nX-Evil: é")
        await thrive.users.list().first() if number == 2 else await thrive.users.get("u1")

    async with server.client() as thrive:
        server.answers[:] = [USER, reply(200, []), USER]
        for number in (1, 2):
            await asyncio.create_task(web_request(number))
        await thrive.users.get("u1")
    assert [one.headers.get("x-correlation-id") for one in server.requests] == ["web1X-Evil:", "web2X-Evil:", None]
    told = [
        record.getMessage().partition(", correlation id ")[2]
        for record in caplog.records
        if "attempt 1" in record.getMessage()
    ]
    assert told == ["web1X-Evil:", "web2X-Evil:", ""]


async def test_a_view_writes_as_its_client_does(sandbox: Sandbox, thrive: ThriveClient) -> None:
    user = await thrive.users.list().first()
    assert user is not None
    assert user.ref is not None
    await thrive.with_options(headers={"X-Team": "a"}).users.update(user.ref, UserUpdate(job_title="Pilot"))
    assert sandbox.requests[-1].body == {"jobTitle": "Pilot"}
