"""What an undo plans, without a server: whatever happened since, it touches only what the run did and still holds."""

from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from thrive_async.models import AudienceMember
from thrive_async.sync._apply.records import Record
from thrive_async.sync._match.user_diff import Known
from thrive_async.sync._undoing import Accounts, Members

PEOPLE = [f"{at:024x}" for at in range(8)]
people = st.frozensets(st.sampled_from(PEOPLE))
_UNTOLD = datetime.now(UTC).isoformat()


def member(user_id: str) -> AudienceMember:
    return AudienceMember(user_id=user_id, reference=f"R{user_id[-1]}", email=f"p{user_id[-1]}@example.org")


def record(outcomes: dict[tuple[str, str], str], **opening: Any) -> Record:
    told = {key: (outcome, None, _UNTOLD) for key, outcome in outcomes.items()}
    planned: dict[str, list[str]] = {}
    for action, name in outcomes:
        planned.setdefault(action, []).append(name)
    return Record({"run": "r", "audience": "a", "planned": planned, **opening}, _UNTOLD, told)


@given(before=people, desired=people, since=people, failed=people)
def test_an_undo_brings_back_exactly_what_the_run_did_and_what_still_holds(
    before: frozenset[str], desired: frozenset[str], since: frozenset[str], failed: frozenset[str]
) -> None:
    """`since` are the people whose membership somebody else has changed after the run."""
    outcomes = {("remove", one): "failed" if one in failed else "removed" for one in before - desired}
    outcomes |= {("add", f"R{one[-1]}"): "failed" if one in failed else "added" for one in desired - before}
    done = {one for one in before ^ desired if one not in failed}
    now = (before ^ done) ^ since
    sides: Members[AudienceMember] = Members(record(outcomes), [member(one) for one in sorted(now)])
    back = set(sides.back(record(outcomes).done("remove")))
    out = {one.user_id for one in sides.out(record(outcomes).done("add"))}
    after = (now | back) - out
    for one in PEOPLE:
        # Who was changed by the run is as before; who was not is as they are now.
        assert (one in after) == (one in before if one in done else one in now)
    assert not back & now
    assert out <= now
    assert sides.held == []


VALUES = st.sampled_from(["a", "b", "c"])


@given(before=VALUES, given_by_run=VALUES, now=VALUES)
def test_a_field_is_put_back_only_if_it_has_the_value_of_the_run(before: str, given_by_run: str, now: str) -> None:
    """It is so already, or it is held: never silently overwritten."""
    user = Known(
        user_id="1", ref="R", email=None, active=True, deleted=False, manager_id=None,
        values={"job_title": now, "manager_ref": None}, additional={"Site": now},
    )  # fmt: skip
    changes = {name: [before, given_by_run] for name in ("job_title", "additional_fields.Site")}
    accounts = Accounts(record({("update", "R"): "changed"}, changes={"R": changes}), [user])
    planned = {name: new for one in accounts.put_back(["R"]) for name, (_old, new) in one.changes.items()}
    if now == before:
        assert (planned, accounts.held) == ({}, [])
    elif now == given_by_run:
        assert (planned, accounts.held) == (dict.fromkeys(changes, before), [])
    else:
        assert planned == {}
        assert len(accounts.held) == 2
