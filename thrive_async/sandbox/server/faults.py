"""Faults: what goes wrong, when, how often."""

import random
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from fnmatch import fnmatchcase
from typing import Any, Final

import attrs

from thrive_async._base.unset import UNSET, Unset
from thrive_async._generated.operations import OPERATIONS, Operation
from thrive_async.sandbox.checks import is_number, is_whole
from thrive_async.sandbox.server.fault_kinds import Kind, checked_details, encoded
from thrive_async.sandbox.server.replies import Reply, error_body
from thrive_async.sandbox.server.tokens import TOKEN_OPERATION

__all__ = ["Fault", "Faults", "Kind"]

_BEFORE: Final = frozenset({"rate_limited", "status", "html", "close_before", "token_down"})
_AFTER: Final = frozenset({"status", "html", "empty_body", "cut_body", "not_json", "wrong_shape", "close_after"})
_HTML: Final = (
    "<!DOCTYPE html><html><head><title>{status} {phrase}</title></head>"
    "<body><center><h1>{status} {phrase}</h1></center><hr><center>cloudfront</center></body></html>"
)


@attrs.define(eq=False)
class Fault:
    """One fault in force.

    Attributes:
        kind: What goes wrong.
        operation: The operations it strikes.
        times: How often it still strikes; None for ever.
        probability: How likely it strikes a request that it could strike.
        details: What the kind needs to know.
        fired: How often it struck.
    """

    kind: Kind
    operation: str
    times: int | None
    probability: float
    details: dict[str, Any]
    fired: int = 0
    _home: "Faults | None" = attrs.field(default=None, repr=False)

    @property
    def spent(self) -> bool:
        """Whether it will not strike again."""
        return self.times is not None and self.times <= 0

    def remove(self) -> None:
        """End the fault."""
        if self._home is not None:
            self._home.discard(self)

    def strikes(self, operation: Operation) -> bool:
        """Whether the operation is one of those it strikes."""
        if operation.id == TOKEN_OPERATION:
            # The token endpoint is struck only when it is meant: "*" is about the API.
            return self.operation == TOKEN_OPERATION
        return fnmatchcase(operation.id, self.operation) or self.operation == operation.resource


class Faults:
    """The faults of one sandbox.

    Iterating gives the faults still in force.
    """

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(f"{seed} faults")  # noqa: S311
        self._faults: list[Fault] = []

    def add(
        self,
        kind: Kind,
        *,
        operation: str = "*",
        times: int | Unset | None = UNSET,
        probability: float = 1.0,
        **details: Any,
    ) -> Fault:
        """Let something go wrong.

        | kind | details | what happens |
        |---|---|---|
        | rate_limited | retry_after | 429, nothing done. `retry_after`: None, seconds, a datetime, or "date:30" |
        | status | status=503, body, retry_after, after=False | this status; `after=True`: once the work is done |
        | html | status=502, after=False | the HTML page of some proxy |
        | empty_body | status=200 | the work is done, the body lost |
        | cut_body | keep=0.5 | the work is done, the connection breaks in the body |
        | not_json | status=200 | the work is done, the body is no JSON |
        | wrong_shape | body, status=200 | the work is done, the body is other JSON, or these bytes |
        | close_before | reset=False | nothing done, the connection is closed (or reset) |
        | close_after | reset=False | the work is done, then the connection is closed |
        | latency | seconds=0.05, jitter=0, distribution="uniform" | the answer takes longer |
        | expired_token | | the bearer token of the request has expired |
        | revoked_token | | all bearer tokens are revoked |
        | token_down | status=503 | the token endpoint fails |
        | unknown_users | references | these users fail in a batch with "User does not exist." |
        | poisoned | references, status=422 | a batch with any of these is refused as a whole |
        | members_change | add=1, remove=1 | after a page of members, the list changes |

        Latency's jitter is the width (uniform, on top), the standard deviation (normal) or the mean of what comes on
        top (exponential). All draws come from the sandbox's seed.

        Args:
            kind: What.
            operation: An operationId, a pattern (`*Members`), or a resource (`users`). "*" is every operation but the
                token endpoint, which has to be named: `createAccessToken`.
            times: How often, at least once; None for ever. By default once, but `unknown_users` and `poisoned` for
                ever.
            probability: How likely it strikes, from 0 to 1.
            **details: As in the table.

        Returns:
            The fault; it counts in `fired` and can be ended by `remove()`.

        Raises:
            ValueError: Unknown kind, detail or operation, or a figure out of range.
        """
        details = checked_details(kind, details)
        if times is UNSET:
            times = None if kind in ("unknown_users", "poisoned") else 1
        if times is not None and not is_whole(times, 1):
            raise ValueError(f"times is a whole number of at least 1, or None for ever, not {times!r}")
        if not is_number(probability, 0, 1):
            raise ValueError(f"probability is a number from 0 to 1, not {probability!r}")
        if kind == "token_down":
            operation = TOKEN_OPERATION
        fault = Fault(kind, operation, times, probability, details)
        fault._home = self  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
        known = isinstance(operation, str) and any(  # pyright: ignore[reportUnnecessaryIsInstance]
            fault.strikes(one) for one in OPERATIONS.values()
        )
        if not known:
            raise ValueError(f"{operation!r} matches no operation")
        self._faults.append(fault)
        return fault

    def clear(self) -> None:
        """End all faults."""
        self._faults.clear()

    def discard(self, fault: Fault) -> None:
        """End one fault; no matter if it has ended."""
        self._faults = [one for one in self._faults if one is not fault]

    def __iter__(self) -> Iterator[Fault]:
        return iter(list(self._faults))

    def __len__(self) -> int:
        return len(self._faults)

    def __bool__(self) -> bool:
        return bool(self._faults)

    # What the server asks

    def _fire(self, fault: Fault, operation: Operation) -> bool:
        if fault.spent or not fault.strikes(operation):
            return False
        if fault.probability < 1 and self._rng.random() >= fault.probability:
            return False
        fault.fired += 1
        if fault.times is not None:
            fault.times -= 1
            if not fault.times:
                self.discard(fault)
        return True

    def take(self, kinds: Iterable[str], operation: Operation) -> Fault | None:
        """The first fault of these kinds that strikes now; it counts as fired."""
        for fault in self:
            if fault.kind in kinds and self._fire(fault, operation):
                return fault
        return None

    def before(self, operation: Operation) -> Fault | None:
        """What goes wrong before the work is done."""
        for fault in self:
            if fault.kind in _BEFORE and not fault.details.get("after") and self._fire(fault, operation):
                return fault
        return None

    def after(self, operation: Operation) -> Fault | None:
        """What goes wrong once the work is done."""
        for fault in self:
            late = fault.details.get("after", True)
            if fault.kind in _AFTER and late and self._fire(fault, operation):
                return fault
        return None

    def delay(self, operation: Operation) -> float:
        """Seconds that the request has to wait."""
        total = 0.0
        for fault in self:
            if fault.kind == "latency" and self._fire(fault, operation):
                seconds, jitter = fault.details["seconds"], fault.details["jitter"]
                total += seconds
                if jitter:
                    match fault.details["distribution"]:
                        case "normal":
                            total += self._rng.gauss(0, jitter)
                        case "exponential":
                            total += self._rng.expovariate(1 / jitter)
                        case _:
                            total += self._rng.uniform(0, jitter)
        return max(0.0, total)

    def references(self, kind: str, operation: Operation, batch: set[str]) -> tuple[set[str], Fault | None]:
        """Those of a batch that a fault about users names."""
        for fault in self:
            if fault.kind == kind:
                struck = batch.intersection(fault.details["references"])
                if struck and self._fire(fault, operation):
                    return struck, fault
        return set(), None


def error_reply(fault: Fault) -> Reply:
    """The error page or body of a fault."""
    details = fault.details
    status: int = 429 if fault.kind == "rate_limited" else details["status"]
    if fault.kind == "html":
        body = error_body(status, "")
        text = _HTML.format(status=status, phrase=body["error"])
        return Reply(status, text.encode(), {"Content-Type": "text/html; charset=utf-8"})
    headers: dict[str, str] = {}
    after = details.get("retry_after")
    if after is not None:
        headers["Retry-After"] = _retry_after(after)
    message = "Too many requests, wait and back off." if status == 429 else "The sandbox was told to fail."
    given: Any = details.get("body")
    content = error_body(status, message) if given is None else given
    return Reply(status, encoded(content), headers)


def _retry_after(value: float | str | datetime) -> str:
    if isinstance(value, datetime):
        return format_datetime(value.astimezone(UTC), usegmt=True)
    if isinstance(value, str) and value.startswith("date:"):
        # A whole second more: the date has no fractions, and must not name less than was asked for.
        moment = datetime.now(UTC) + timedelta(seconds=float(value.removeprefix("date:")) + 1)
        return format_datetime(moment.replace(microsecond=0), usegmt=True)
    return str(value)
