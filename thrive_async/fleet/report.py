"""What became of units, and of all of them together."""

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any, Final, Literal, Self

import attrs

from thrive_async.fleet.units import Kind

__all__ = ["Outcome", "Result", "Summary", "summary"]

Outcome = Literal["done", "incomplete", "stopped", "refused"]

_WORDS: Final[Mapping[Outcome, str]] = {
    "done": "done",
    "incomplete": "incomplete: some people could not be changed, or were held",
    "stopped": "stopped: may succeed if it is run again",
    "refused": "refused: needs you",
}


@attrs.frozen(kw_only=True)
class Result:
    """What became of one unit. Its numbers name no one: the people are in the journal of the run.

    Attributes:
        key: The unit's key.
        tenant: The tenant id.
        kind: ``"members"`` or ``"users"``.
        target: The audience's id or reference; empty for users.
        outcome: ``"done"``; ``"incomplete"``: some people failed or were held, and running it again at once does not
            help; ``"stopped"``: Thrive or another run was in the way, so run it again; ``"refused"``: a guard, the
            credentials or the source stand in the way, and you must look.
        reason: Why it is not done; empty if it is.
        added: How many people were added or created.
        changed: How many were changed.
        removed: How many were removed or suspended.
        failed: How many changes failed.
        not_attempted: How many changes were not sent.
        held: How many people were left alone because of a doubt.
        seconds: How long it took.
    """

    key: str
    tenant: str
    kind: Kind
    target: str
    outcome: Outcome
    reason: str = ""
    added: int = 0
    changed: int = 0
    removed: int = 0
    failed: int = 0
    not_attempted: int = 0
    held: int = 0
    seconds: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """Return the result as values that JSON can hold."""
        return attrs.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Make a result from the result of `as_dict`."""
        return cls(**values)


@attrs.frozen(kw_only=True)
class Summary:
    """The results of many units.

    Attributes:
        units: How many there are.
        outcomes: How many ended in which way.
        changes: How many people were `added`, `changed`, `removed`, `failed`, `not_attempted` or `held`.
        tenants: The outcomes of each tenant.
        to_look_at: The results that are not done.
    """

    units: int
    outcomes: Mapping[Outcome, int]
    changes: Mapping[str, int]
    tenants: Mapping[str, Mapping[Outcome, int]]
    to_look_at: tuple[Result, ...]

    @property
    def ok(self) -> bool:
        """Whether every unit is done."""
        return not self.to_look_at

    def __str__(self) -> str:
        outcomes = ", ".join(f"{count:,} {name}" for name, count in self.outcomes.items() if count)
        changes = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in self.changes.items() if count)
        return (
            f"{self.units:,} units of {len(self.tenants):,} tenants: {outcomes or 'nothing'}; {changes or 'no changes'}"
        )

    def to_html(self, title: str = "Thrive fleet") -> str:
        """Return one page that shows all tenants, and every unit that is not done with its reason."""
        rows = "".join(
            f"<tr><td>{escape(tenant)}</td>{''.join(f'<td>{counts.get(name, 0):,}</td>' for name in _WORDS)}</tr>"
            for tenant, counts in self.tenants.items()
        )
        looks = "".join(
            f"<tr><td>{escape(one.tenant)}</td><td>{one.kind} {escape(one.target)}</td><td>{one.outcome}</td>"
            f"<td>{escape(one.reason)}</td></tr>"
            for one in self.to_look_at
        )
        heads = "".join(f'<th title="{escape(words)}">{name}</th>' for name, words in _WORDS.items())
        return (
            f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title><style>'
            "body{font:14px system-ui;margin:2rem}table{border-collapse:collapse;margin:1rem 0}"
            "td,th{border-bottom:1px solid #ccc;padding:.3rem .8rem;text-align:left}</style></head><body>"
            f"<h1>{escape(title)}</h1><p>{escape(str(self))}</p>"
            f"<h2>To look at</h2><table><tr><th>tenant</th><th>unit</th><th>outcome</th><th>reason</th></tr>{looks}"
            f"</table><h2>Tenants</h2><table><tr><th>tenant</th>{heads}</tr>{rows}</table></body></html>\n"
        )


def summary(results: Iterable[Result]) -> Summary:
    """Sum up results. If a key comes more than once, as after a repetition, its last result counts."""
    last = {one.key: one for one in results}
    names = ("added", "changed", "removed", "failed", "not_attempted", "held")
    outcomes: dict[Outcome, int] = dict.fromkeys(_WORDS, 0)
    tenants: dict[str, dict[Outcome, int]] = {}
    for one in last.values():
        outcomes[one.outcome] += 1
        of_tenant = tenants.setdefault(one.tenant, dict.fromkeys(_WORDS, 0))
        of_tenant[one.outcome] += 1
    return Summary(
        units=len(last),
        outcomes=outcomes,
        changes={name: sum(getattr(one, name) for one in last.values()) for name in names},
        tenants=tenants,
        to_look_at=tuple(one for one in last.values() if one.outcome != "done"),
    )
