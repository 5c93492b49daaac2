"""Faults: what can go wrong, what each kind needs to know, when it strikes and how often."""

import random
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from fnmatch import fnmatchcase
from math import isfinite
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
        operation: Which operations it strikes.
        times: How often it still strikes; None for no limit.
        probability: How likely it strikes a request that it fits.
        details: What the kind needs to know.
        fired: How often it has struck.
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
        """Whether it has struck for the last time."""
        return self.times is not None and self.times <= 0

    def remove(self) -> None:
        """End the fault."""
        if self._home is not None:
            self._home.discard(self)

    def strikes(self, operation: Operation) -> bool:
        """Whether it is aimed at this operation."""
        if operation.id == TOKEN_OPERATION:
            # "*" means the API: the token endpoint is struck only by name.
            return self.operation == TOKEN_OPERATION
        return fnmatchcase(operation.id, self.operation) or self.operation == operation.resource


class Faults:
    """The faults of one sandbox. Iterate to see those still in force."""

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
        | rate_limited | retry_after | 429, nothing done. `retry_after`: None, seconds, a datetime, or "date:30" |
        | status | status=503, body, retry_after, after=False | this status; with `after=True` the work is done first |
        | html | status=502, after=False | the HTML page of a proxy |
        | empty_body | status=200 | the work is done, the body is empty |
        | cut_body | keep=0.5 | the work is done, the connection breaks in the middle of the body |
        | not_json | status=200 | the work is done, the body is not JSON |
        | wrong_shape | body, status=200 | the work is done, the body is other JSON, or your bytes |
        | close_before | reset=False | nothing is done, the connection is closed (or reset) |
        | close_after | reset=False | the work is done, then the connection is closed (or reset) |
        | latency | seconds=0.05, jitter=0, distribution="uniform" | the answer takes longer |
        | expired_token | | the bearer token of the request has expired |
        | revoked_token | | all bearer tokens are revoked |
        | token_down | status=503 | the token endpoint fails |
        | unknown_users | references | these users fail in a batch with "User does not exist." |
        | poisoned | references, status=422 | a batch that holds any of these is refused as a whole |
        | members_change | add=1, remove=1 | the members change after a page of them is read |

        The jitter of latency is a width ("uniform", added), a standard deviation ("normal") or the mean of what is
        added ("exponential"). Every draw comes from the sandbox's seed.

        Args:
            kind: What goes wrong.
            operation: An operationId, a pattern (`*Members`), or a resource (`users`). "*" is every operation except
                the token endpoint: name that one, `createAccessToken`.
            times: How often, at least 1; None for no limit. The default is 1, and no limit for `unknown_users` and
                `poisoned`.
            probability: How likely it strikes, from 0 to 1.
            **details: As in the table.

        Returns:
            The fault: `fired` counts, `remove()` ends it.

        Raises:
            ValueError: An unknown kind, detail or operation, or a value out of range.
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
        """End all faults."""
        self._faults.clear()

    def discard(self, fault: Fault) -> None:
        """End one fault; harmless if it has ended."""
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
        """The first fault of these kinds that strikes now; it counts as fired.

        Args:
            kinds: The kinds.
            operation: The operation of the request.
            names: Every name of the people in a batch. A fault about certain users strikes only if it names one.
        """
        for fault in self:
            references = fault.details.get("references")
            fits = fault.kind in kinds and (references is None or not names.isdisjoint(references))
            if fits and self._fire(fault, operation):
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


def error_reply(fault: Fault) -> Reply:
    """The reply with the error page or body of a fault."""
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
        # One second more: the date has no fractions, and must not name less than you asked for.
        moment = datetime.now(UTC) + timedelta(seconds=float(value.removeprefix("date:")) + 1)
        return format_datetime(moment.replace(microsecond=0), usegmt=True)
    return str(value)


def _checked_details(kind: Kind, given: dict[str, Any]) -> dict[str, Any]:
    """Return all details of a fault: those given, and the defaults of the others."""
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
    """Keep the references for every request, as an iterator runs out; a lone string is left for the check to refuse."""
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
        # Text that is no number is sent as it is: a client has to survive that too.
        known = not value.startswith("date:") or _is_seconds(value.removeprefix("date:"))
        return known and value.isprintable()
    return value is None or is_number(value)


def _is_seconds(text: str) -> bool:
    try:
        return isfinite(float(text))
    except ValueError:
        return False


def _are_references(value: object) -> bool:
    names = cast("tuple[object, ...]", value)
    return isinstance(value, tuple) and bool(names) and all(isinstance(name, str) for name in names)


# What each detail may be: a check, and the words for it.
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
