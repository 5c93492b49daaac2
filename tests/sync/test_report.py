"""Reports, journals and plans as their users see them."""

import json
from pathlib import Path

import attrs
import pytest

from thrive_async import APIError, ConfigurationError, SyncError
from thrive_async.sync import Entry, MemberPlan, Outcome, SyncReport
from thrive_async.sync._apply.journal import Journal, Scope, unfinished
from thrive_async.sync.report import reason_of

ADDED = Outcome("add", "ann@example.org")
FAILED = Outcome("add", "ben@example.org", "User does not exist.")
CHANGED = Outcome("update", "E-1")


def test_a_report_shows_counts_and_nobody() -> None:
    """Text and repr end up in logs: no identifiers in them."""
    report = SyncReport(
        subject="team",
        run="1",
        added=(ADDED,),
        changed=(CHANGED,),
        failed=(FAILED,),
        differences=(ADDED, FAILED),
        cause=ValueError("ann@example.org"),
    )
    assert str(report) == (
        "team: 1 added, 1 changed, 0 removed, 1 failed, 0 not attempted, 2 found to differ; stopped by ValueError"
    )
    assert repr(report) == f"<SyncReport {report}>"
    entry = Entry(name="grace@example.org", also=["grace@example.org"], where="line 7")
    assert "example.org" not in repr((report, ADDED, FAILED, entry))
    assert (report.audience, report.planned, report.ok) == ("team", 3, False)
    with pytest.raises(SyncError) as caught:
        report.raise_for_failures()
    assert str(caught.value) == (
        "team: of 3 planned changes 1 failed, 2 found to differ afterwards; stopped by ValueError"
    )


def test_a_stop_with_nothing_left_to_do_is_still_told() -> None:
    """A run whose last act was stopped does not pass for a good one."""
    with pytest.raises(SyncError, match="nothing failed; stopped by RuntimeError"):
        SyncReport(subject="team", run="1", cause=RuntimeError()).raise_for_failures()


def test_who_could_not_be_named_is_no_success() -> None:
    """All that was planned is done, and still somebody is not where the list wants them."""
    report = SyncReport(
        subject="team",
        run="1",
        added=(ADDED,),
        rejected=(("a\nb", "holds a line break"),),
        ambiguous=("E-1", "E-2"),
        held=(Outcome("remove", "63f57d805d8ecbf46f5b5278", "why"),),
    )
    assert not report.ok
    assert str(report) == ("team: 1 added, 0 removed, 0 failed, 0 not attempted, 1 rejected, 2 ambiguous, 1 held")
    with pytest.raises(SyncError) as caught:
        report.raise_for_failures()
    assert str(caught.value) == (
        "team: of 1 planned changes nothing failed; beside them 1 rejected, 2 ambiguous, 1 held"
    )
    for left_out in ("rejected", "ambiguous", "held"):
        assert not SyncReport(subject="team", run="1", **{left_out: getattr(report, left_out)}).ok


def test_a_good_report_raises_nothing() -> None:
    """Also when it was verified."""
    report = SyncReport(subject="team", run="1", added=(ADDED,), differences=())
    report.raise_for_failures()
    assert report.ok
    assert str(report).endswith("0 found to differ")


def test_a_reason_of_something_unforeseen_names_its_kind_only() -> None:
    """Texts of foreign errors may hold anything."""
    assert reason_of(RuntimeError("ann@example.org")) == "RuntimeError"


def refusal(message: object) -> APIError:
    return APIError(
        "GET /rest/v1/users: 422",
        status=422,
        error="Unprocessable",
        message=message,
        body=None,
        headers={},
        request_id=None,
        operation="addMembers",
        attempts=1,
        retry_after=None,
    )


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("Licence for Grace Hopper expired; ask Payroll", "422: Licence for Grace Hopper expired; ask Payroll"),
        ("Audience grace@example.com\tnot\r\n found\x1b[31m\u202e", "422: Audience grace@example.com not found [31m"),
        ({"languageCode": "xx is not enabled"}, '422: {"languageCode":"xx is not enabled"}'),
        (None, "422: GET /rest/v1/users: 422"),
        ("x" * 1000, "422: " + "x" * 495),
    ],
)
def test_a_reason_is_thrives_as_it_came(message: object, reason: str) -> None:
    """In one line, without control characters, of bounded length, and nothing masked: the reader named these people."""
    assert reason_of(refusal(message)) == reason


def test_a_plan_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    """All of it or nothing; no half-written file stays behind."""
    plan = MemberPlan(tenant="t", audience="team", audience_id="1", to_add=("a",), to_remove=(), staying=())
    path = tmp_path / "plan.json"
    plan.save(path)
    before = path.read_bytes()
    broken = MemberPlan(tenant="t", audience="team", audience_id="1", to_add=("a", object()), to_remove=(), staying=())  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        broken.save(path)
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == ["plan.json"]


def test_a_plan_of_another_version_or_shape_is_refused() -> None:
    """A later release may write what this one would misread."""
    plan = MemberPlan(tenant="t", audience="team", audience_id="1", to_add=("a",), to_remove=(), staying=())
    saved = json.loads(plan.to_json())
    from thrive_async.sync._plans import _VERSION, _fingerprint

    with pytest.raises(ConfigurationError, match=f"version {_VERSION + 1}"):
        MemberPlan.from_json(json.dumps({**saved, "version": _VERSION + 1}))
    content = {name: saved[name] for name in saved if name not in ("kind", "version", "fingerprint", "made_at")}
    del content["to_add"]
    odd = {
        "kind": "members",
        "version": _VERSION,
        "fingerprint": _fingerprint(content),
        "made_at": saved["made_at"],
        **content,
    }
    with pytest.raises(ConfigurationError, match="not a saved plan"):
        MemberPlan.from_json(json.dumps(odd))


def test_a_journal_without_a_file_writes_nothing() -> None:
    """No journal is wanted: nothing happens."""
    with Journal(None, "1", "team") as journal:
        journal.open_run(Scope("members", "t", "1"), fingerprint="f", strategy="diff", planned={})
        journal.record([("add", "x", "added", None)])
        assert not journal.is_open


def test_foreign_lines_in_a_journal_are_passed_over(tmp_path: Path) -> None:
    """A list, a number, an outcome of a run that never began, a plan of nothing known: none of it is a run."""
    path = tmp_path / "run.jsonl"
    planned = {"add": ["a", "b"], "exterminate": ["c"]}
    begun = {"run": "7", **attrs.asdict(Scope("members", "t", "1")), "host": "h", "process": 1, "at": "now"}
    odd = [
        '{"run": "9", "audience": "team", "outcome": "added"}',
        "[]",
        "3",
        "[" * 100_000,
        '{"run": "8", "planned": 5}',
        '{"run": "8", "planned": {"add": 5}, "kind": "members"}',
        '{"run": "8", "action": [], "reference": {}}',
        json.dumps({**begun, "planned": planned}),
        '{"run": "7", "action": ["add"], "reference": "a", "at": "now"}',
        '{"run": "7", "action": "add", "reference": "a", "at": "now"}',
    ]
    path.write_text("\n".join(odd), encoding="utf-8")
    (run,) = unfinished(path)[Scope("members", "t", "1")]
    assert (run.run, run.pending) == ("7", (("add", "b"),))
    assert run.is_foreign
