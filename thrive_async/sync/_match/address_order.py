"""Find an order in which users can get new e-mail addresses, although no two may share one. Does no I/O."""

from collections.abc import Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

import attrs

__all__ = ["AddressChange", "AddressOrder", "ordered"]


@attrs.frozen(repr=False)
class AddressChange:
    """One user's new address.

    Attributes:
        ref: The user's ref.
        old: The address in Thrive; None if the user has no address.
        new: The address that the list wants; None to clear it.
    """

    ref: str
    old: str | None
    new: str | None


@attrs.frozen(repr=False)
class AddressOrder:
    """Which addresses can change, in which order, and which cannot.

    Attributes:
        waves: The refs in waves. An address that a wave assigns is already free by then.
        held: The reason why an address cannot change, by ref.
    """

    waves: tuple[tuple[str, ...], ...]
    held: Mapping[str, str]


def ordered(changes: Sequence[AddressChange], owners: Mapping[str, str]) -> AddressOrder:
    """Order address changes so that Thrive, which allows each address only once, accepts them all.

    Args:
        changes: The changes, one per ref.
        owners: The ref of each address's current owner, by the address in lower case.
    """
    by_ref = {change.ref: change for change in changes}
    held: dict[str, str] = {}
    wanted: dict[str, list[str]] = {}
    for change in changes:
        if change.new:
            wanted.setdefault(change.new.lower(), []).append(change.ref)
    for refs in wanted.values():
        if len(refs) > 1:
            held.update(dict.fromkeys(refs, "several rows want this e-mail address, and only one user can have it"))
    while True:
        # A user who waits for a held user is held too, so repeat until no more are found.
        waits_for = _waits(by_ref, owners, held)
        stuck = {ref: reason for ref, (_other, reason) in waits_for.items() if reason and ref not in held}
        if not stuck:
            graph = {ref: [other] if other else [] for ref, (other, _reason) in waits_for.items() if ref not in held}
            circle = _circle(graph)
            if not circle:
                return AddressOrder(_waves(graph), held)
            reason = f"{', '.join(circle)} swap their e-mail addresses, so no order of changes works"
            stuck = dict.fromkeys(circle, reason)
        held.update(stuck)


def _waits(
    by_ref: Mapping[str, AddressChange], owners: Mapping[str, str], held: Mapping[str, str]
) -> dict[str, tuple[str | None, str | None]]:
    """Return for each ref the ref it waits for, and the reason if its change is impossible."""
    found: dict[str, tuple[str | None, str | None]] = {}
    for ref, change in by_ref.items():
        owner = owners.get(change.new.lower()) if change.new else None
        if owner is None or owner == ref:
            found[ref] = None, None
        elif owner not in by_ref:
            found[ref] = None, f"this e-mail address belongs to {owner}, who keeps it"
        elif owner in held:
            found[ref] = None, f"this e-mail address belongs to {owner}, and that user's own change is held"
        else:
            found[ref] = owner, None
    return found


def _circle(graph: Mapping[str, Sequence[str]]) -> list[str]:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        circle: list[str] = error.args[1]
        return sorted(set(circle))
    return []


def _waves(graph: Mapping[str, Sequence[str]]) -> tuple[tuple[str, ...], ...]:
    sorter = TopologicalSorter(graph)
    sorter.prepare()
    waves: list[tuple[str, ...]] = []
    while sorter.is_active():
        ready = sorter.get_ready()
        waves.append(tuple(ready))
        sorter.done(*ready)
    return tuple(waves)
