"""OpenTelemetry for a client: spans, metrics and trace context. Install it with `pip install "thrive-async[otel]"`.

Names follow the semantic conventions for HTTP clients. Nothing recorded holds personal data: `url.template` and
`url.full` have placeholders where a request has values, and neither queries, headers, bodies nor error texts are kept.
"""

import weakref
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

try:
    from opentelemetry import context, metrics, propagate, trace
    from opentelemetry.context import (
        _SUPPRESS_HTTP_INSTRUMENTATION_KEY,  # pyright: ignore[reportPrivateUsage] - all instrumentations import it
    )
except ImportError as _error:
    raise ImportError('thrive_async.contrib.opentelemetry needs: pip install "thrive-async[otel]"') from _error

from thrive_async._base.version import __version__
from thrive_async.hooks import AttemptEvent, AttemptStart, CallEvent, CallStart, Hooks, WaitEvent
from thrive_async.pool import ThrivePool

__all__ = ["instrument", "observe_pool"]

_SCOPE: Final = "thrive_async"
_SCHEMA: Final = "https://opentelemetry.io/schemas/1.38.0"
# Those that the conventions recommend for requests; a call with its waits and attempts may take longer.
_REQUEST_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
_CALL_SECONDS: Final = (*_REQUEST_SECONDS, 30, 60, 120)
# Where the span of a call, or of its attempt, is kept between two events.
_CALL: Final = f"{__name__} call"
_ATTEMPT: Final = f"{__name__} attempt"

_Attributes = dict[str, str | int | float | bool]


def instrument(
    *, tracer_provider: trace.TracerProvider | None = None, meter_provider: metrics.MeterProvider | None = None
) -> Hooks:
    """Return hooks that record what a client does, and send the trace context along with its requests.

    Each call is a span of kind INTERNAL, named by its operation and a child of the current span. Each attempt is a
    child of it, of kind CLIENT. Waits are events of the call's span. The request for a token is an attempt of the call
    that needs the token.

    Args:
        tracer_provider: Makes the spans; the global one if None.
        meter_provider: Makes the metrics; the global one if None.

    Returns:
        Hooks for `ThriveClient(..., hooks=...)` or `ThrivePool(..., hooks=...)`. Add your own with `+`.

    Example:
        thrive = ThriveClient(tenant, key, hooks=instrument())
    """
    recorder = _Recorder(
        trace.get_tracer(_SCOPE, __version__, tracer_provider, _SCHEMA),
        metrics.get_meter(_SCOPE, __version__, meter_provider, _SCHEMA),
    )
    return Hooks(
        on_call_start=recorder.call_started,
        on_attempt_start=recorder.attempt_started,
        on_wait=recorder.waited,
        on_attempt=recorder.attempt_ended,
        on_call=recorder.call_ended,
    )


def observe_pool(pool: ThrivePool, *, meter_provider: metrics.MeterProvider | None = None) -> None:
    """Record how many clients and connections a pool holds, for as long as it exists.

    Args:
        pool: The pool. Observe one per meter provider, since their figures would have the same names.
        meter_provider: Makes the metrics; the global one if None.
    """
    meter = metrics.get_meter(_SCOPE, __version__, meter_provider, _SCHEMA)
    observed = weakref.ref(pool)

    def observations_of(figure: str) -> Callable[[metrics.CallbackOptions], Iterable[metrics.Observation]]:
        def observations(_options: metrics.CallbackOptions) -> Iterable[metrics.Observation]:
            held = observed()
            return () if held is None else (metrics.Observation(getattr(held.report, figure)),)

        return observations

    for name, figure, unit, description in (
        ("clients", "clients", "{client}", "Tenants that have a client"),
        ("busy_clients", "busy", "{client}", "Tenants with calls under way"),
        ("connections", "connections", "{connection}", "Connections in use"),
        ("max_connections", "most_connections", "{connection}", "Connections there may be"),
    ):
        meter.create_observable_gauge(
            f"thrive.pool.{name}", [observations_of(figure)], unit=unit, description=description
        )


class _Recorder:
    """Turns the events of calls into spans and metrics.

    Tenants are on spans, counters and gauges. On histograms they would make hundreds of series each.
    """

    def __init__(self, tracer: trace.Tracer, meter: metrics.Meter) -> None:
        self._tracer = tracer
        self._request_seconds = meter.create_histogram(
            "http.client.request.duration",
            unit="s",
            description="Duration of HTTP client requests.",
            explicit_bucket_boundaries_advisory=_REQUEST_SECONDS,
        )
        self._active_requests = meter.create_up_down_counter(
            "http.client.active_requests", unit="{request}", description="Number of active HTTP requests."
        )
        self._call_seconds = meter.create_histogram(
            "thrive.client.call.duration",
            unit="s",
            description="Duration of calls, with all their attempts and waits",
            explicit_bucket_boundaries_advisory=_CALL_SECONDS,
        )
        self._active_calls = meter.create_up_down_counter(
            "thrive.client.active_calls", unit="{call}", description="Calls under way, those that wait included"
        )
        self._attempts = meter.create_counter(
            "thrive.client.attempts", unit="{attempt}", description="Requests made; thrive.retry tells repeated ones"
        )
        self._refusals = meter.create_counter(
            "thrive.client.rate_limited", unit="{reply}", description="Replies with status 429"
        )
        self._wait_seconds = meter.create_histogram(
            "thrive.client.wait.duration",
            unit="s",
            description="Waits of calls, by reason",
            explicit_bucket_boundaries_advisory=_CALL_SECONDS,
        )

    def call_started(self, event: CallStart) -> None:
        span = self._tracer.start_span(
            event.operation,
            attributes={
                "thrive.operation": event.operation,
                "thrive.tenant": event.tenant,
                "thrive.priority": event.priority,
                "url.template": event.path,
            },
        )
        token = context.attach(trace.set_span_in_context(span))
        event.state[_CALL] = span, token
        self._active_calls.add(1, _of_calls(event))

    def call_ended(self, event: CallEvent) -> None:
        span, token = event.state.pop(_CALL)
        context.detach(token)
        failed = _failed(span, event.error)
        span.set_attributes({"thrive.attempts": event.attempts, "thrive.waited": event.waited})
        if event.request_id is not None:
            span.set_attribute("thrive.request_id", event.request_id)
        span.end()
        self._active_calls.add(-1, _of_calls(event))
        self._call_seconds.record(
            event.seconds, {"thrive.operation": event.operation, "thrive.priority": event.priority, **failed}
        )

    def attempt_started(self, event: AttemptStart) -> None:
        address = _address(event.host)
        attributes: _Attributes = {
            "http.request.method": event.method,
            "url.template": event.path,
            "url.full": event.host + event.path,
            "thrive.operation": event.operation,
            "thrive.tenant": event.tenant,
            **address,
        }
        repeated = event.attempt > 1
        if repeated:
            attributes["http.request.resend_count"] = event.attempt - 1
        span = self._tracer.start_span(
            f"{event.method} {event.path}", kind=trace.SpanKind.CLIENT, attributes=attributes
        )
        # aiohttp's own instrumentation, of a session that is the user's, would record the URL.
        here = context.set_value(_SUPPRESS_HTTP_INSTRUMENTATION_KEY, True, trace.set_span_in_context(span))
        event.state[_ATTEMPT] = span, context.attach(here)
        propagate.inject(event.headers)
        self._active_requests.add(1, _of_requests(event))
        self._attempts.add(1, {"thrive.tenant": event.tenant, "thrive.retry": repeated})

    def attempt_ended(self, event: AttemptEvent) -> None:
        span, token = event.state.pop(_ATTEMPT)
        context.detach(token)
        refused = event.status is not None and event.status >= 400
        outcome = _failed(span, str(event.status) if refused else event.error)
        if event.status is not None:
            outcome["http.response.status_code"] = event.status
            span.set_attribute("http.response.status_code", event.status)
        if event.request_id is not None:
            span.set_attribute("thrive.request_id", event.request_id)
        span.end()
        self._active_requests.add(-1, _of_requests(event))
        self._request_seconds.record(event.seconds, {**_of_requests(event), "url.template": event.path, **outcome})
        if event.status == 429:
            self._refusals.add(1, {"thrive.tenant": event.tenant})

    def waited(self, event: WaitEvent) -> None:
        self._wait_seconds.record(
            event.seconds, {"thrive.wait.reason": event.reason, "thrive.priority": event.priority}
        )
        # The request for a token has no call of its own.
        if _CALL in event.state:
            span, _token = event.state[_CALL]
            span.add_event("thrive.wait", {"thrive.wait.reason": event.reason, "thrive.wait.duration": event.seconds})


def _of_calls(event: CallStart | CallEvent) -> _Attributes:
    return {"thrive.tenant": event.tenant, "thrive.priority": event.priority}


def _of_requests(event: AttemptStart | AttemptEvent) -> _Attributes:
    return {"http.request.method": event.method, **_address(event.host)}


@lru_cache
def _address(base_url: str) -> _Attributes:
    parts = urlsplit(base_url)
    port = parts.port or (80 if parts.scheme == "http" else 443)
    return {"server.address": parts.hostname or "", "server.port": port}


def _failed(span: trace.Span, error: str | None) -> _Attributes:
    """Mark a span as failed, if it is; return what its metrics say of that."""
    if error is None:
        return {}
    # Without a description: the error's text may hold words of Thrive's.
    span.set_status(trace.StatusCode.ERROR)
    span.set_attribute("error.type", error)
    return {"error.type": error}
