"""Planted secrets are looked for in the journal, in reports and in everything the command line says.

Reports, journals and the command quote Thrive and name people: they are for the engineer who named these people. An
e-mail address that Thrive mentions in an error is masked all the same, for errors end up in logs. The command line is
as talkative as it can be (`THRIVE_DEBUG`).
"""

import csv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from thrive_async.cli import main
from thrive_async.sandbox import Sandbox

AUDIENCE = "sales-emea"
FIRST, LAST, MAIL = "Plantagenet", "O'Plant", "planted.person"
WORDS = {"status": 422, "error": f"{FIRST} fails", "message": f"User {FIRST} {LAST} <{MAIL}1@example.org> does not fit"}


@pytest.fixture(params=["key", "token"])
def served(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    for name in ("THRIVE_API_KEY", "THRIVE_CLIENT_ID", "THRIVE_CLIENT_SECRET", "THRIVE_REGION"):
        monkeypatch.delenv(name, raising=False)
    with Sandbox(users=40, seed=1) as sandbox:
        for number, user in enumerate(sandbox.state.users.values()):
            user |= {"firstName": FIRST, "lastName": LAST, "email": f"{MAIL}{number}@example.org"}
            user["ref"] = f"E{number:05}"
        for name, value in sandbox.environment.items():
            monkeypatch.setenv(name, value)
        if request.param == "token":
            monkeypatch.delenv("THRIVE_API_KEY")
            monkeypatch.setenv("THRIVE_CLIENT_ID", sandbox.tokens.client_id)
            monkeypatch.setenv("THRIVE_CLIENT_SECRET", sandbox.tokens.client_secret)
        monkeypatch.setenv("THRIVE_DEBUG", "1")
        yield sandbox


def secrets(sandbox: Sandbox) -> list[str]:
    return [sandbox.tokens.api_key, sandbox.tokens.client_secret, "sandbox-token-"]


def refs(sandbox: Sandbox) -> list[str]:
    return [user["ref"] for user in sandbox.state.users.values()]


def written(path: Path, rows: list[list[str]]) -> str:
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows(rows)
    return str(path)


def failures(sandbox: Sandbox) -> dict[str, Any]:
    entities = [{"reference": ref, "reason": WORDS["message"]} for ref in refs(sandbox)]
    return {"success": {"count": 0, "entities": []}, "failure": {"count": len(entities), "entities": entities}}


FAULTS: dict[str, Callable[[Sandbox], Any]] = {
    "none": lambda s: None,
    "unknown people": lambda s: s.faults.add("unknown_users", references=refs(s)[:9]),
    "poisoned": lambda s: s.faults.add("poisoned", references=refs(s)[:9]),
    "a page instead": lambda s: s.faults.add("html", status=403, operation="*Member*", times=None),
    "no JSON": lambda s: s.faults.add("not_json", operation="*Member*"),
    "other JSON": lambda s: s.faults.add("wrong_shape", operation="*M*", body=[WORDS], times=None),
    "lost answers": lambda s: s.faults.add("close_after", operation="*Member*"),
    "unauthorised": lambda s: s.faults.add("status", status=401, body=WORDS, times=None),
    "revoked": lambda s: s.faults.add("revoked_token", times=2),
    "no token": lambda s: s.faults.add("token_down", status=401),
    "refused in words": lambda s: s.faults.add("status", operation="*Member*", status=422, body=WORDS, times=None),
    "users refused in words": lambda s: s.faults.add("status", operation="*User", status=422, body=WORDS, times=None),
    "reasons in words": lambda s: s.faults.add("wrong_shape", operation="addMembers", body=failures(s), times=None),
    "forbidden in words": lambda s: s.faults.add("status", operation="get*", status=403, body=WORDS, times=None),
}


# Thrive's words reach the reports of members.
QUOTED = {"refused in words", "reasons in words", "unauthorised", "forbidden in words"}
# Nothing is planned, let alone written down.
REFUSED_BEFORE = {"no token", "unauthorised", "forbidden in words", "other JSON", "a page instead"}


def look(text: str, where: str, hidden: list[str]) -> None:
    found = [one for one in hidden if one in text]
    assert not found, f"{found[0]!r} shows in {where}:\n{text[:3000]}"


def run(sandbox: Sandbox, capsys: pytest.CaptureFixture[str], *tokens: str) -> str:
    """Run a command, look for secrets in everything it prints, and return its standard error."""
    capsys.readouterr()
    assert main(tokens) in (0, 1, 2, 3, 4)
    out, err = capsys.readouterr()
    look(err, f"standard error of {tokens}", secrets(sandbox))
    look(out, f"standard output of {tokens}", secrets(sandbox))
    return err


@pytest.mark.parametrize("fault", FAULTS)
def test_a_sync_writes_no_secret_anywhere(
    served: Sandbox, fault: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    everybody = refs(served)
    listed = written(tmp_path / "people.csv", [["ref"], *([ref] for ref in everybody[5:35]), ["nobody"], ["a\x1bb"]])
    grouped = written(
        tmp_path / "audiences.csv", [["audience", "member"], *([AUDIENCE, ref] for ref in everybody[:30]), ["no", "x"]]
    )
    staff = written(
        tmp_path / "staff.csv",
        [["ref", "first_name", "last_name", "email"]]
        + [[ref, FIRST, LAST + "s", f"{MAIL}{at}@example.org"] for at, ref in enumerate(everybody[3:30], 3)]
        + [["N1", FIRST, LAST, f"{MAIL}.new@example.org"], ["N2", FIRST, "", MAIL]],
    )
    FAULTS[fault](served)
    journal, table, document = tmp_path / "run.jsonl", tmp_path / "report.csv", tmp_path / "report.json"
    leavers = tmp_path / "leavers.csv"
    options = ("--yes", "--max-removals", "none", "--journal", str(journal), "--report")
    run(served, capsys, "sync", "members", AUDIENCE, listed, *options, str(table))
    run(served, capsys, "sync", "audiences", grouped, *options, str(document))
    run(served, capsys, "sync", "users", staff, *options, str(leavers), "--leavers", "suspend", "--max-changes", "none")
    told = ""
    for file in (journal, table, document, leavers):
        if file.exists():
            text = file.read_text(encoding="utf-8")
            look(text, file.name, secrets(served))
            if file in (table, document) and fault not in QUOTED:
                # The lists name people by ref, so only Thrive's own words bring in a name.
                look(text, file.name, [FIRST, LAST])
            told += text
    # And they do hold what they are for.
    assert fault in REFUSED_BEFORE or "E00020" in told


LISTS = [("users", "list"), ("users", "get", "E00003"), ("audiences", "members", "list", AUDIENCE)]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("command", LISTS)
def test_an_error_of_a_list_shows_no_address_that_thrive_mentions(
    served: Sandbox, fault: str, command: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    FAULTS[fault](served)
    err = run(served, capsys, *command)
    look(err, f"standard error of {command}", [MAIL])
