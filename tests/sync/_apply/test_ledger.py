"""The ledger: every change is open, in doubt or settled, and in the end in exactly one place of the report."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thrive_async.sync._apply.ledger import Change, Ledger


@given(st.lists(st.sampled_from(["done", "failed", "open", "held"]), max_size=20), st.booleans())
def test_the_ledger_adds_up(fates: list[str], count_restores: bool) -> None:
    """Every change is in one place; who was to be put back is told of only where that went wrong."""
    changes = [
        Change(("add", "remove", "update")[at % 3], str(at), restores=at % 3 == 0 and at % 2 == 0)  # type: ignore[arg-type]
        for at in range(len(fates))
    ]
    ledger = Ledger(changes)
    for at, fate in enumerate(fates):
        if fate != "open":
            ledger.settle(at, done={"done": True, "failed": False, "held": None}[fate], reason=fate)
    report = ledger.report("team", "1", not_attempted="stopped", cause=None, count_restores=count_restores)
    told = [*report.added, *report.removed, *report.changed, *report.failed, *report.not_attempted]
    expected = {
        str(at) for at, fate in enumerate(fates) if not changes[at].restores or (count_restores and fate != "done")
    }
    assert sorted(one.reference for one in told) == sorted(expected)
    assert ledger.settled == sum(fate != "open" for fate in fates)
    assert ledger.failures == fates.count("failed")
    reasons = {one.reference: one.reason for one in report.not_attempted if one.action != "add"}
    assert reasons == {
        str(at): "stopped" if fate == "open" else "held"
        for at, fate in enumerate(fates)
        if fate in ("open", "held") and changes[at].action != "add"
    }


def test_two_outcomes_of_one_change_are_a_bug() -> None:
    """The accounting refuses what would not add up."""
    ledger = Ledger([Change("add", "x")])
    ledger.settle(0, done=True)
    with pytest.raises(RuntimeError, match="two outcomes"):
        ledger.settle(0, done=False)


def test_a_change_in_doubt_is_open_until_it_is_settled() -> None:
    """Doubt is no outcome; settling ends it, and so does learning that nothing happened."""
    ledger = Ledger([Change("add", "x"), Change("remove", "y"), Change("add", "z")])
    ledger.doubt([0, 1], "lost")
    assert dict(ledger.in_doubt) == {0: "lost", 1: "lost"}
    assert (ledger.settled, ledger.unsettled(range(3))) == (0, [0, 1, 2])
    assert ledger.settle(0, done=True) == "added"
    ledger.reopen([1, 2])
    assert (dict(ledger.in_doubt), ledger.unsettled(range(3))) == ({}, [1, 2])
    report = ledger.report("team", "1", not_attempted="cancelled", cause=None)
    assert (len(report.added), len(report.not_attempted)) == (1, 2)


def test_a_settled_change_is_never_in_doubt_again() -> None:
    """Its outcome is in the journal already."""
    ledger = Ledger([Change("add", "x")])
    ledger.settle(0, done=True)
    with pytest.raises(RuntimeError, match="settled"):
        ledger.doubt([0], "lost")
    with pytest.raises(TypeError):
        ledger.in_doubt[0] = "lost"  # type: ignore[index]
