"""Spans, metrics and trace context of a client, as the exporters of the OpenTelemetry SDK get them."""

import asyncio
import json
import logging
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from opentelemetry import propagate, trace
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.instrumentation.aiohttp_client import AioHttpClientInstrumentor
from opentelemetry.instrumentation.utils import suppress_http_instrumentation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.semconv._incubating.attributes import url_attributes
from opentelemetry.semconv._incubating.metrics import http_metrics as development_metrics
from opentelemetry.semconv.attributes import error_attributes, http_attributes, server_attributes
from opentelemetry.semconv.attributes.url_attributes import URL_FULL
from opentelemetry.semconv.metrics import http_metrics
from opentelemetry.semconv.schemas import Schemas
from opentelemetry.trace import SpanKind, StatusCode
from prometheus_client import generate_latest
from raw_server import RawServer, hang, reply, reset

from contrib.serving import until
from thrive_async import (
    ApiKey,
    CallEvent,
    Hooks,
    Limits,
    NotFoundError,
    RequestTimeout,
    Retry,
    ThrivePool,
    Timeouts,
    sync,
)
from thrive_async.contrib import opentelemetry
from thrive_async.contrib.opentelemetry import instrument, observe_pool
from thrive_async.sandbox import Sandbox, VirtualClock

pytestmark = pytest.mark.usefixtures("clock")

USER = reply(200, {"id": "507f1f77bcf86cd799439011"}, X_Request_Id="r1")
DASHBOARD = Path(__file__).parents[2] / "docs" / "grafana" / "thrive.json"


class Telemetry:
    """The SDK with its exporters in memory."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.reader = InMemoryMetricReader()
        self.tracers = TracerProvider()
        self.tracers.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.meters = MeterProvider([self.reader])
        self.hooks = instrument(tracer_provider=self.tracers, meter_provider=self.meters)
        self.tracer = self.tracers.get_tracer("test")

    @property
    def spans(self) -> list[ReadableSpan]:
        """Those that ended, in the order of their start."""
        return sorted(self.exporter.get_finished_spans(), key=lambda span: span.start_time or 0)

    def named(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.spans if span.name == name]

    @property
    def points(self) -> dict[str, list[Any]]:
        """The data points of each metric."""
        data = self.reader.get_metrics_data()
        scopes = [scope for resource in data.resource_metrics for scope in resource.scope_metrics] if data else []
        return {metric.name: [*metric.data.data_points] for scope in scopes for metric in scope.metrics}

    def total(self, name: str, **attributes: object) -> float:
        """The sum of a metric's points with these attributes; `_` stands for a dot."""
        return sum(
            getattr(point, "value", None) if hasattr(point, "value") else point.count
            for point in self.points.get(name, [])
            if {key.replace(".", "_"): value for key, value in point.attributes.items()}.items() >= attributes.items()
        )

    @property
    def everything(self) -> str:
        """All that an exporter gets, as text."""
        return "\n".join(span.to_json() for span in self.spans) + repr(self.points)


@pytest.fixture
def telemetry() -> Iterator[Telemetry]:
    kept = Telemetry()
    yield kept
    kept.tracers.shutdown()
    kept.meters.shutdown()


def parent(span: ReadableSpan) -> int | None:
    return span.parent.span_id if span.parent else None


# Spans


async def test_a_call_with_a_retry_is_a_span_with_one_span_for_each_attempt(
    telemetry: Telemetry, sandbox: Sandbox
) -> None:
    sandbox.faults.add("status", status=503)
    async with sandbox.client(hooks=telemetry.hooks) as thrive:
        with telemetry.tracer.start_as_current_span("web request") as current:
            await thrive.users.get_by_ref("E00001")
            assert trace.get_current_span() is current
    web, call, first, second = telemetry.spans
    assert (call.name, call.kind, parent(call)) == ("getUserByRef", SpanKind.INTERNAL, web.context.span_id)
    assert [span.kind for span in (first, second)] == [SpanKind.CLIENT] * 2
    assert {parent(first), parent(second)} == {call.context.span_id}
    assert {span.name for span in (first, second)} == {"GET /rest/v1/users/ref/{ref}"}
    assert (call.start_time or 0) <= (first.start_time or 0) < (first.end_time or 0) <= (second.start_time or 0)
    assert (second.end_time or 0) <= (call.end_time or 0)
    port = int(sandbox.base_url.rpartition(":")[2])
    common = {
        http_attributes.HTTP_REQUEST_METHOD: "GET",
        server_attributes.SERVER_ADDRESS: "127.0.0.1",
        server_attributes.SERVER_PORT: port,
        url_attributes.URL_TEMPLATE: "/rest/v1/users/ref/{ref}",
        URL_FULL: f"http://127.0.0.1:{port}/rest/v1/users/ref/{{ref}}",
        "thrive.operation": "getUserByRef",
        "thrive.tenant": sandbox.tenant_id,
    }
    assert dict(first.attributes or {}) == common | {
        http_attributes.HTTP_RESPONSE_STATUS_CODE: 503,
        error_attributes.ERROR_TYPE: "503",
        "thrive.request_id": "sandbox-1",
    }
    assert dict(second.attributes or {}) == common | {
        http_attributes.HTTP_RESPONSE_STATUS_CODE: 200,
        http_attributes.HTTP_REQUEST_RESEND_COUNT: 1,
        "thrive.request_id": "sandbox-2",
    }
    assert [span.status.status_code for span in (call, first, second)] == [
        StatusCode.UNSET,
        StatusCode.ERROR,
        StatusCode.UNSET,
    ]
    assert call.attributes is not None
    assert (call.attributes["thrive.attempts"], call.attributes["thrive.priority"]) == (2, "interactive")
    assert [event.attributes["thrive.wait.reason"] for event in call.events if event.attributes][-1] == "pause"
    assert "E00001" not in telemetry.everything


async def test_each_request_carries_the_context_of_its_attempt(telemetry: Telemetry) -> None:
    async with RawServer([reply(500), USER]) as server, server.client(hooks=telemetry.hooks) as thrive:
        with telemetry.tracer.start_as_current_span("web request"):
            await thrive.users.get("u1")
    sent = [propagate.extract(request.headers) for request in server.requests]
    contexts = [trace.get_current_span(one).get_span_context() for one in sent]
    attempts = telemetry.named("GET /rest/v1/user/{id}")
    assert [one.span_id for one in contexts] == [span.context.span_id for span in attempts]
    assert {one.trace_id for one in contexts} == {telemetry.named("web request")[0].context.trace_id}


async def test_a_traceparent_of_the_view_is_sent_as_it_is(telemetry: Telemetry) -> None:
    async with RawServer([USER]) as server, server.client(hooks=telemetry.hooks) as thrive:
        await thrive.with_options(headers={"Traceparent": "00-1"}).users.get("u1")
    assert server.requests[0].headers["traceparent"] == "00-1"


async def test_without_an_sdk_the_context_of_the_caller_goes_along() -> None:
    context = trace.SpanContext(0xABC, 0xDEF, is_remote=True, trace_flags=trace.TraceFlags(1))
    async with RawServer([USER]) as server, server.client(hooks=instrument()) as thrive:
        await thrive.users.get("u1")
        with trace.use_span(trace.NonRecordingSpan(context)):
            await thrive.users.get("u1")
    assert [request.headers.get("traceparent") for request in server.requests] == [
        None,
        f"00-{0xABC:032x}-{0xDEF:016x}-01",
    ]


async def test_a_429_is_counted_and_the_wait_after_it_told(telemetry: Telemetry, clock: VirtualClock) -> None:
    async with Sandbox(users=3, seed=1, clock=clock) as sandbox, sandbox.client(hooks=telemetry.hooks) as thrive:
        sandbox.faults.add("rate_limited", retry_after=7)
        await thrive.skills.levels()
    first, second = telemetry.named("GET /rest/v1/skills/levels")
    assert (first.attributes or {})["error.type"] == "429"
    assert second.status.status_code == StatusCode.UNSET
    assert telemetry.total("thrive.client.rate_limited", thrive_tenant=sandbox.tenant_id) == 1
    assert telemetry.total("thrive.client.attempts", thrive_retry=False) == 1
    assert telemetry.total("thrive.client.attempts", thrive_retry=True) == 1


async def test_a_cool_down_is_a_wait_of_its_own(telemetry: Telemetry) -> None:
    retry = Retry(max_attempts=1)
    async with (
        RawServer([reply(429, Retry_After="1"), USER]) as server,
        server.client(hooks=telemetry.hooks, retry=retry) as thrive,
    ):
        await asyncio.gather(thrive.users.get("u1"), return_exceptions=True)
        await thrive.users.get("u1")
    assert telemetry.total("thrive.client.wait.duration", thrive_wait_reason="cool-down") == 1


async def test_a_cancelled_call_ends_its_spans_and_leaves_nothing_under_way(telemetry: Telemetry) -> None:
    async with RawServer([hang]) as server, server.client(hooks=telemetry.hooks) as thrive:
        task = asyncio.create_task(thrive.users.get("u1"))
        await until(lambda: server.requests)
        assert telemetry.total("http.client.active_requests") == 1
        assert telemetry.total("thrive.client.active_calls") == 1
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    for span in telemetry.spans:
        assert (span.status.status_code, (span.attributes or {})["error.type"]) == (StatusCode.ERROR, "CancelledError")
    assert [span.name for span in telemetry.spans] == ["getUser", "GET /rest/v1/user/{id}"]
    assert telemetry.total("http.client.active_requests") == telemetry.total("thrive.client.active_calls") == 0


async def test_a_call_that_dies_waiting_for_a_slot_is_a_span_without_attempts(telemetry: Telemetry) -> None:
    async with (
        RawServer([hang]) as server,
        server.client(hooks=telemetry.hooks, limits=Limits(concurrency=1)) as thrive,
    ):
        holder = asyncio.create_task(thrive.users.get("u1"))
        await until(lambda: server.requests)
        with pytest.raises(RequestTimeout):
            await thrive.users.get("u2", timeouts=Timeouts(total=5))
        holder.cancel()
        await asyncio.gather(holder, return_exceptions=True)
    (late,) = [span for span in telemetry.named("getUser") if (span.attributes or {})["error.type"] == "RequestTimeout"]
    assert (late.attributes or {})["thrive.attempts"] == 0
    assert not [span for span in telemetry.spans if parent(span) == late.context.span_id]
    assert [(event.attributes or {})["thrive.wait.reason"] for event in late.events] == ["slot"]
    assert telemetry.total("thrive.client.call.duration", error_type="RequestTimeout") == 1


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (reset, "ConnectionFailed"),
        (hang, "RequestTimeout"),
        (reply(200, b"x" * 2000), "DecodeError"),
    ],
)
async def test_an_attempt_without_a_reply_names_its_error(telemetry: Telemetry, answer: Any, error: str) -> None:
    async with (
        RawServer([answer]) as server,
        server.client(
            hooks=telemetry.hooks,
            retry=Retry(max_attempts=1),
            limits=Limits(max_reply_bytes=1000),
        ) as thrive,
    ):
        await asyncio.gather(thrive.users.get("u1"), return_exceptions=True)
    call, attempt = telemetry.spans
    assert (attempt.attributes or {})["error.type"] == (call.attributes or {})["error.type"] == error
    assert telemetry.total("http.client.request.duration", error_type=error) == 1


async def test_calls_at_once_keep_their_own_spans(telemetry: Telemetry, sandbox: Sandbox) -> None:
    async def web_request(number: int, ref: str) -> None:
        with telemetry.tracer.start_as_current_span(f"web {number}"):
            await asyncio.gather(thrive.users.get_by_ref(ref), thrive.skills.levels())

    async with sandbox.client() as plain:
        refs = [user.ref async for user in plain.users.list() if user.ref][:20]
    sandbox.faults.add("status", status=503, times=10)
    async with sandbox.client(hooks=telemetry.hooks, limits=Limits(concurrency=3)) as thrive:
        await asyncio.gather(*map(web_request, range(1, 21), refs))
    by_id = {span.context.span_id: span for span in telemetry.spans}
    calls = [span for span in telemetry.spans if span.kind == SpanKind.INTERNAL and not span.name.startswith("web")]
    assert sorted(by_id[parent(span) or 0].name + span.name for span in calls) == sorted(
        f"web {number}{name}" for number in range(1, 21) for name in ("getUserByRef", "listSkillLevels")
    )
    attempts = [span for span in telemetry.spans if span.kind == SpanKind.CLIENT]
    for span in attempts:
        assert (by_id[parent(span) or 0].attributes or {})["thrive.operation"] == (span.attributes or {})[
            "thrive.operation"
        ]
    assert len(attempts) == 50
    assert telemetry.total("thrive.client.active_calls") == telemetry.total("http.client.active_requests") == 0


async def test_the_request_for_a_token_belongs_to_the_call_that_needs_it(
    telemetry: Telemetry, sandbox: Sandbox
) -> None:
    async with sandbox.client(hooks=telemetry.hooks, credentials=sandbox.oauth) as thrive:
        await asyncio.gather(thrive.skills.levels(), thrive.users.get_by_ref("E00001"))
    (token,) = [span for span in telemetry.spans if (span.attributes or {})["thrive.operation"] == "createAccessToken"]
    assert parent(token) in {span.context.span_id for span in telemetry.spans if span.kind == SpanKind.INTERNAL}
    assert sandbox.oauth.client_secret.reveal() not in telemetry.everything


async def test_a_page_fetched_ahead_takes_no_longer_because_its_reader_does(
    telemetry: Telemetry, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.perf_counter", clock.time)
    async with Sandbox(users=30, seed=1) as sandbox, sandbox.client(hooks=telemetry.hooks) as thrive:
        async for _page in thrive.users.list(per_page=10).pages():
            await asyncio.sleep(20)
    (point,) = telemetry.points["thrive.client.call.duration"]
    assert point.count == 3
    assert point.sum < 20
    assert telemetry.total("thrive.client.wait.duration", thrive_wait_reason="pause") == 0


async def test_a_sync_shows_as_bulk(telemetry: Telemetry, sandbox: Sandbox) -> None:
    sandbox.state.add_audience("team")
    async with sandbox.client(hooks=telemetry.hooks) as thrive:
        await sync.sync_members(thrive, "team", ["E00001", "E00002"])
        await thrive.skills.levels()
    priorities = {span.name: (span.attributes or {}).get("thrive.priority") for span in telemetry.spans}
    assert priorities["addMembers"] == priorities["listMembers"] == "bulk"
    assert priorities["listSkillLevels"] == "interactive"
    assert telemetry.total("thrive.client.call.duration", thrive_priority="interactive") == 1
    assert telemetry.total("thrive.client.call.duration", thrive_priority="bulk") > 2
    assert "E00001" not in telemetry.everything


# What must not happen


async def test_nothing_recorded_names_a_person(telemetry: Telemetry) -> None:
    """Neither a ref, a query, a body, a header, nor Thrive's words; also not for a path of the caller's own."""
    words = {"message": "jane@example.org is a stranger"}
    refusal = reply(404, words, X_Request_Id="jane doe")
    async with RawServer([refusal]) as server, server.client(hooks=telemetry.hooks) as thrive:
        for call in (
            thrive.users.get_by_ref("jane"),
            thrive.users.add_tags("jane", ["jane"]),
            thrive.request("GET", "/rest/v1/user/jane", params={"email": "jane@example.org"}),
            thrive.request("GET", "/rest/v1/users", params={"email": "jane@example.org"}),
        ):
            with pytest.raises(NotFoundError):
                await call
    assert len(telemetry.spans) == 8
    assert "jane" not in telemetry.everything
    assert "stranger" not in telemetry.everything


@pytest.mark.parametrize("where", ["own session", "pool", "session of the user's"])
async def test_the_instrumentation_of_aiohttp_records_no_url(
    telemetry: Telemetry, sandbox: Sandbox, where: str
) -> None:
    """It would record the URL with the ref. A session of the user's stays instrumented for their own requests."""
    theirs = AioHttpClientInstrumentor()
    theirs.instrument(tracer_provider=telemetry.tracers, meter_provider=telemetry.meters)
    try:
        key: Any = sandbox.credentials
        if where == "pool":
            async with ThrivePool(lambda _: key, base_url=sandbox.base_url, hooks=telemetry.hooks) as pool:
                await (await pool.client(sandbox.tenant_id)).users.get_by_ref("E00001")
        elif where == "own session":
            async with sandbox.client() as plain, sandbox.client(hooks=telemetry.hooks) as thrive:
                await plain.users.get_by_ref("E00001")
                await thrive.users.get_by_ref("E00001")
        else:
            async with aiohttp.ClientSession() as session:
                async with sandbox.client(hooks=telemetry.hooks, session=session) as thrive:
                    await thrive.users.get_by_ref("E00001")
                await session.get(f"{sandbox.base_url}/mine")
    finally:
        theirs.uninstrument()
    assert "E00001" not in telemetry.everything
    assert len([span for span in telemetry.spans if span.kind == SpanKind.CLIENT]) == (2 if "user" in where else 1)
    assert ("/mine" in telemetry.everything) == ("user" in where)


@pytest.mark.parametrize("how", ["uninstrumented", "suppressed", "not at all"])
async def test_a_session_of_the_users_without_these_hooks_can_be_switched_off(
    telemetry: Telemetry, sandbox: Sandbox, how: str
) -> None:
    theirs = AioHttpClientInstrumentor()
    theirs.instrument(tracer_provider=telemetry.tracers, meter_provider=telemetry.meters)
    try:
        async with aiohttp.ClientSession() as session, sandbox.client(session=session) as thrive:
            if how == "uninstrumented":
                AioHttpClientInstrumentor.uninstrument_session(session)
            if how == "suppressed":
                with suppress_http_instrumentation():
                    await thrive.users.get_by_ref("E00001")
            else:
                await thrive.users.get_by_ref("E00001")
    finally:
        theirs.uninstrument()
    assert ("E00001" in telemetry.everything) == (how == "not at all")


async def test_a_tracer_that_raises_breaks_no_call(telemetry: Telemetry, caplog: pytest.LogCaptureFixture) -> None:
    class Broken(TracerProvider):
        def get_tracer(self, *args: Any, **kwargs: Any) -> Any:
            class Tracer:
                def start_span(self, *args: Any, **kwargs: Any) -> Any:
                    raise LookupError("jane")

            return Tracer()

    hooks = instrument(tracer_provider=Broken(), meter_provider=telemetry.meters)
    async with RawServer([reply(500), USER]) as server, server.client(hooks=hooks) as thrive:
        await thrive.users.get("u1")
    told = {record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR}
    assert told == {f"a hook raised {name}, which is ignored" for name in ("LookupError", "KeyError")}


async def test_hooks_of_your_own_go_beside(telemetry: Telemetry, sandbox: Sandbox) -> None:
    seen: list[CallEvent] = []
    async with sandbox.client(hooks=telemetry.hooks + Hooks(on_call=seen.append)) as thrive:
        await thrive.skills.levels()
    assert [event.operation for event in seen] == [telemetry.spans[0].name]


def test_a_missing_package_says_what_to_install() -> None:
    program = (
        "import sys; sys.modules['opentelemetry'] = None\n"
        "try: import thrive_async.contrib.opentelemetry\n"
        "except ImportError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert 'pip install "thrive-async[otel]"' in done.stdout


# Metrics


def test_names_are_those_of_the_conventions(telemetry: Telemetry) -> None:
    assert http_metrics.HTTP_CLIENT_REQUEST_DURATION == "http.client.request.duration"
    assert development_metrics.HTTP_CLIENT_ACTIVE_REQUESTS == "http.client.active_requests"
    assert opentelemetry._SCHEMA in {schema.value for schema in Schemas}


async def test_durations_have_the_buckets_and_attributes_of_the_conventions(
    telemetry: Telemetry, sandbox: Sandbox
) -> None:
    async with sandbox.client(hooks=telemetry.hooks) as thrive:
        await thrive.users.get_by_ref("E00001")
        await asyncio.gather(thrive.users.get_by_ref("E9"), return_exceptions=True)
    done, refused = sorted(
        telemetry.points["http.client.request.duration"],
        key=lambda point: point.attributes["http.response.status_code"],
    )
    assert done.explicit_bounds == (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
    assert dict(done.attributes) == {
        "http.request.method": "GET",
        "server.address": "127.0.0.1",
        "server.port": int(sandbox.base_url.rpartition(":")[2]),
        "url.template": "/rest/v1/users/ref/{ref}",
        "http.response.status_code": 200,
    }
    assert dict(refused.attributes) == dict(done.attributes) | {
        "http.response.status_code": 404,
        "error.type": "404",
    }
    assert 0 < done.sum < 10


async def test_a_pool_is_observed_as_long_as_it_exists(telemetry: Telemetry) -> None:
    async with RawServer([USER]) as server:
        pool = ThrivePool(lambda _: ApiKey("k"), base_url=server.base_url, connections=20, hooks=telemetry.hooks)
        observe_pool(pool, meter_provider=telemetry.meters)
        for tenant in ("a", "b"):
            await (await pool.client(tenant)).users.get("u1")
        figures = {name: telemetry.total(f"thrive.pool.{name}") for name in ("clients", "busy_clients", "connections")}
        assert figures == {"clients": 2, "busy_clients": 0, "connections": 0}
        assert telemetry.total("thrive.pool.max_connections") == 20
        assert telemetry.total("thrive.client.attempts", thrive_tenant="b") == 1
        await pool.aclose()
        del pool
    assert telemetry.total("thrive.pool.max_connections") == 0


async def printed_by_prometheus() -> str:
    """What Prometheus gets after calls that touch every metric."""
    meters = MeterProvider([PrometheusMetricReader()])
    hooks = instrument(meter_provider=meters)
    answers = [reply(429, Retry_After="0"), USER, reset, USER, reply(404)]
    pool = ThrivePool(lambda _: ApiKey("k"), hooks=hooks, base_url="http://127.0.0.1:1")
    observe_pool(pool, meter_provider=meters)
    async with RawServer(answers) as server, server.client(hooks=hooks) as thrive:
        await thrive.users.get("u1")
        await thrive.users.get("u1")
        with pytest.raises(NotFoundError):
            await thrive.users.get("u1")
        text = generate_latest().decode()
    await pool.aclose()
    meters.shutdown()
    return text


async def test_the_dashboard_asks_for_what_prometheus_gets() -> None:
    """Each metric and each label in a query of `docs/grafana/thrive.json` is one that the exporter prints."""
    printed = await printed_by_prometheus()
    there: dict[str, set[str]] = {}
    for name, labels in re.findall(r"^(\w+)(?:\{(.*)\})? ", printed, re.MULTILINE):
        there.setdefault(name, set()).update(re.findall(r'(\w+)="', labels))
    dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
    queries += [
        variable["query"]["query"] for variable in dashboard["templating"]["list"] if variable["type"] == "query"
    ]
    asked: set[str] = set()
    for query in queries:
        names = set(re.findall(r"\b(?:thrive|http)_\w+", re.sub(r"\{.*?\}|by ?\(.*?\)|, *\w+\)$", "", query)))
        assert names, query
        assert names <= set(there), query
        labels = set(re.findall(r"(\w+)=~?\"", query))
        labels |= {label for group in re.findall(r"by ?\((.*?)\)", query) for label in re.split(r", *", group)}
        labels |= set(re.findall(r"label_values\(\w+, (\w+)\)", query))
        for name in names:
            assert labels <= there[name] | {"le"}, query
        assert all(matcher in printed for matcher in re.findall(r'\w+="[^"]+"', query)), query
        asked |= names
    families = {re.sub(r"_(bucket|count|sum|created)$", "", name) for name in there}
    unasked = {
        name for name in families if name.startswith(("thrive_", "http_")) and not any(name in one for one in asked)
    }
    assert not unasked
