"""Faults: what can go wrong, when and how often."""

import random
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from fnmatch import fnmatchcase
from typing import Any, Final, Literal, cast

import attrs
import orjson

from thrive_async._base.unset import UNSET, Unset
from thrive_async._generated.operations import OPERATIONS, Operation
from thrive_async.sandbox.checks import is_number, is_whole
from thrive_async.sandbox.handlers.replies import Reply, error_body
from thrive_async.sandbox.server.tokens import TOKEN_OPERATION

__all__ = ["Fault", "Faults", "Kind", "encoded", "error_reply"]

Kind = Literal[
    "rate_limited",
    "status",
    "html",
    "empty_body",
    "cut_body",
    "not_json",
    "wrong_shape",
    "close_before",
    "close_after",
    "latency",
    "expired_token",
    "revoked_token",
    "token_down",
    "unknown_users",
    "poisoned",
    "members_change",
]

_DISTRIBUTIONS: Final = ("uniform", "normal", "exponential")
# The details of each kind, with their defaults.
_DETAILS: Final[dict[str, dict[str, Any]]] = {
    "rate_limited": {"retry_after": None},
    "status": {"status": 503, "body": None, "retry_after": None, "after": False},
    "html": {"status": 502, "after": False},
    "empty_body": {"status": 200},
    "cut_body": {"keep": 0.5},
    "not_json": {"status": 200},
    "wrong_shape": {"body": {"unexpected": True}, "status": 200},
    "close_before": {"reset": False},
    "close_after": {"reset": False},
    "latency": {"seconds": 0.05, "jitter": 0.0, "distribution": "uniform"},
    "expired_token": {},
    "revoked_token": {},
    "token_down": {"status": 503},
    "unknown_users": {"references": ()},
    "poisoned": {"references": (), "status": 422},
    "members_change": {"add": 1, "remove": 1},
}
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
        operation: The operations it applies to.
        times: How often it will still fire, or None for no limit.
        probability: The probability that it fires on a matching request, from 0 to 1.
        details: The details of its kind.
        fired: How often it has fired.
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
        """Whether the fault has fired for the last time."""
        return self.times is not None and self.times <= 0

    def remove(self) -> None:
        """Remove the fault. Does nothing if it is no longer active."""
        if self._home is not None:
            self._home.discard(self)

    def strikes(self, operation: Operation) -> bool:
        """Return whether the fault applies to this operation."""
        if operation.id == TOKEN_OPERATION:
            # "*" means the API: a fault reaches the token endpoint only by name.
            return self.operation == TOKEN_OPERATION
        return fnmatchcase(operation.id, self.operation) or self.operation == operation.resource


class Faults:
    """The faults of one sandbox. Iterate over it to see those still active."""

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
        """Make something go wrong.

        | kind | details | what happens |
        |---|---|---|
        | rate_limited | retry_after | 429, no work done. `retry_after`: None, seconds, a datetime, or "date:30" |
        | status | status=503, body, retry_after, after=False | this status; with `after=True` the work is done first |
        | html | status=502, after=False | the HTML page of a proxy |
        | empty_body | status=200 | the work is done, the body is empty |
        | cut_body | keep=0.5 | the work is done, the connection breaks in the middle of the body |
        | not_json | status=200 | the work is done, the body is not JSON |
        | wrong_shape | body, status=200 | the work is done, the body is the JSON or bytes you give |
        | close_before | reset=False | no work is done, the connection is closed (or reset) |
        | close_after | reset=False | the work is done, then the connection is closed (or reset) |
        | latency | seconds=0.05, jitter=0, distribution="uniform" | the answer takes longer |
        | expired_token | | the bearer token of the request has expired |
        | revoked_token | | all bearer tokens are revoked |
        | token_down | status=503 | the token endpoint fails |
        | unknown_users | references | these users fail in a batch with "User does not exist." |
        | poisoned | references, status=422 | a batch that holds any of these is refused as a whole |
        | members_change | add=1, remove=1 | the members change after a page of them is read |

        For latency, `jitter` is the width of the range ("uniform"), the standard deviation ("normal") or the mean of
        the added time ("exponential"), in seconds. Every random draw comes from the sandbox's seed.

        Args:
            kind: What goes wrong.
            operation: An operationId, a pattern (`*Members`), or a resource (`users`). "*" is every operation except
                the token endpoint: for that one, pass `createAccessToken`.
            times: How often the fault fires, at least 1; None for no limit. The default is 1, and no limit for
                `unknown_users` and `poisoned`.
            probability: The probability that it fires on a matching request, from 0 to 1.
            **details: The details of the kind, as in the table.

        Returns:
            The fault: `fired` says how often it has fired, and `remove()` ends it.

        Raises:
            ValueError: A kind, detail or operation is unknown, or a value is out of range.
        """
        details = _checked_details(kind, details)
        if times is UNSET:
            times = None if kind in ("unknown_users", "poisoned") else 1
        if times is not None and not is_whole(times, 1):
            raise ValueError(f"times must be a whole number of at least 1, or None for no limit, not {times!r}")
        if not is_number(probability, 0, 1):
            raise ValueError(f"probability must be a number from 0 to 1, not {probability!r}")
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
        """Remove all faults."""
        self._faults.clear()

    def discard(self, fault: Fault) -> None:
        """Remove one fault. Does nothing if it is no longer active."""
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

    def take(self, kinds: Iterable[str], operation: Operation, names: frozenset[str] = frozenset()) -> Fault | None:
        """Return the first fault of these kinds that fires now, and count it.

        Args:
            kinds: The kinds.
            operation: The operation of the request.
            names: Every name of the people in a batch. A fault for certain users fires only if one of them is named.
        """
        for fault in self:
            references = fault.details.get("references")
            fits = fault.kind in kinds and (references is None or not names.isdisjoint(references))
            if fits and self._fire(fault, operation):
                return fault
        return None

    def before(self, operation: Operation) -> Fault | None:
        """Return the fault that strikes before the work is done."""
        for fault in self:
            if fault.kind in _BEFORE and not fault.details.get("after") and self._fire(fault, operation):
                return fault
        return None

    def after(self, operation: Operation) -> Fault | None:
        """Return the fault that strikes once the work is done."""
        for fault in self:
            late = fault.details.get("after", True)
            if fault.kind in _AFTER and late and self._fire(fault, operation):
                return fault
        return None

    def delay(self, operation: Operation) -> float:
        """Return the seconds that the request has to wait."""
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


def error_reply(fault: Fault) -> Reply:
    """Make the reply with the error page or body of a fault."""
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
        # The date has no fractions, so add a second: it must not fall short of what you asked for.
        moment = datetime.now(UTC) + timedelta(seconds=float(value.removeprefix("date:")) + 1)
        return format_datetime(moment.replace(microsecond=0), usegmt=True)
    return str(value)


def _checked_details(kind: Kind, given: dict[str, Any]) -> dict[str, Any]:
    """Return all details of a fault: yours, and the defaults for the others."""
    defaults = next((details for name, details in _DETAILS.items() if name == kind), None)
    if defaults is None:
        raise ValueError(f"unknown fault {kind!r}: choose one of {', '.join(_DETAILS)}")
    unknown = given.keys() - defaults.keys()
    if unknown:
        raise ValueError(f"the fault {kind} does not take {', '.join(sorted(unknown))}")
    details = defaults | given
    if "references" in details:
        details["references"] = _listed(details["references"])
    for name, value in details.items():
        accepts, wanted = _WANTED[name]
        if not accepts(value):
            raise ValueError(f"{name} of the fault {kind} must be {wanted}, not {value!r}")
    return details


def encoded(body: object) -> bytes:
    """Return the body of a fault as it is sent: bytes as they are, anything else as JSON."""
    return body if isinstance(body, bytes) else orjson.dumps(body)


def _listed(references: object) -> object:
    """Keep the references for every request, since an iterator runs out. The check refuses a lone string."""
    if isinstance(references, str) or not isinstance(references, Iterable):
        return references
    return tuple(cast("Iterable[object]", references))


def _is_body(value: object) -> bool:
    try:
        encoded(value)
    except TypeError:
        return False
    return True


def _is_flag(value: object) -> bool:
    return isinstance(value, bool)


def _is_retry_after(value: object) -> bool:
    if isinstance(value, datetime):
        return value.utcoffset() is not None
    if isinstance(value, str):
        # Send text that is not a number unchanged: a client has to survive that too.
        known = not value.startswith("date:") or _is_seconds(value.removeprefix("date:"))
        return known and value.isprintable()
    return value is None or is_number(value)


_CENTURY: Final = 100 * 365 * 86_400  # in seconds: a date much further away cannot be written


def _is_seconds(text: str) -> bool:
    try:
        return abs(float(text)) < _CENTURY
    except ValueError:
        return False


def _are_references(value: object) -> bool:
    names = cast("tuple[object, ...]", value)
    return isinstance(value, tuple) and bool(names) and all(isinstance(name, str) for name in names)


# For each detail, a check and how to describe a valid value.
_WANTED: Final[dict[str, tuple[Callable[[Any], bool], str]]] = {
    "status": (lambda value: is_whole(value, 200, 599), "a status from 200 to 599"),
    "body": (_is_body, "bytes, or a JSON value"),
    "retry_after": (_is_retry_after, 'seconds, an aware datetime, "date:" with seconds, or None'),
    "after": (_is_flag, "True or False"),
    "reset": (_is_flag, "True or False"),
    "keep": (lambda value: is_number(value, 0, 1), "a share of the body, from 0 to 1"),
    "seconds": (is_number, "a number of seconds, at least 0"),
    "jitter": (is_number, "a number of seconds, at least 0"),
    "distribution": (lambda value: value in _DISTRIBUTIONS, f"one of {', '.join(_DISTRIBUTIONS)}"),
    "references": (_are_references, "an iterable of one or more strings"),
    "add": (lambda value: is_whole(value, 0), "a number of users, at least 0"),
    "remove": (lambda value: is_whole(value, 0), "a number of users, at least 0"),
}
