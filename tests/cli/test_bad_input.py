"""Bad input: one line that says what to do, the exit code that says what kind it is, and nothing sent or changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from thrive_async import ConfigurationError, Limits, Retry, SyncError, ThriveClient, Timeouts
from thrive_async.cli._errors import describe
from thrive_async.sandbox import Sandbox

from .conftest import Run

SYNC = ("sync", "members", "sales-emea")
WRITES = {"POST", "PATCH", "DELETE"}


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("THRIVE_REGION", "atlantis", "choose one of production, staging, production-mea, staging-mea"),
        ("THRIVE_TENANT_ID", "", "THRIVE_TENANT_ID (or --tenant-id) is empty"),
        ("THRIVE_TENANT_ID", "  ", "THRIVE_TENANT_ID (or --tenant-id) is empty"),
        ("THRIVE_BASE_URL", "http://thrive.example.com", "use https"),
        ("THRIVE_BASE_URL", "ftp://127.0.0.1", "must begin with https://"),
        ("THRIVE_API_KEY", "", "no credentials: set THRIVE_API_KEY"),
        ("THRIVE_SHARE", "share", "THRIVE_SHARE must be an absolute path"),
    ],
)
@pytest.mark.parametrize("command", [(*SYNC, "FILE"), ("users", "list")])
def test_a_setting_that_cannot_be_right_stops_every_command_before_anything_is_sent(  # noqa: PLR0917 - fixtures
    run: Run,
    served: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    people: Callable[..., str],
    name: str,
    value: str,
    words: str,
    command: tuple[str, ...],
) -> None:
    monkeypatch.setenv(name, value)
    file = people(["a@example.com"])
    result = run(*(file if token == "FILE" else token for token in command))
    assert result.code == 2
    assert words in result.one_line()
    assert result.out == ""
    assert len(served.requests) == 0


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({}, "no tenant: set THRIVE_TENANT_ID"),
        ({"THRIVE_TENANT_ID": "t"}, "no credentials: set THRIVE_API_KEY"),
        ({"THRIVE_TENANT_ID": "t", "THRIVE_API_KEY": "", "THRIVE_CLIENT_ID": " "}, "no credentials: set THRIVE_API_"),
        ({"THRIVE_TENANT_ID": "t", "THRIVE_CLIENT_ID": "c"}, "but neither THRIVE_CLIENT_SECRET nor"),
        ({"THRIVE_TENANT_ID": "t", "THRIVE_CLIENT_SECRET": "s"}, "but THRIVE_CLIENT_ID is not"),
        ({"THRIVE_TENANT_ID": "t", "THRIVE_API_KEY": "k", "THRIVE_CLIENT_ID": "c"}, "both an API key"),
        ({"THRIVE_TENANT_ID": "t", "THRIVE_API_KEY": "k", "THRIVE_API_KEY_FILE": "f"}, "unset one of them"),
        ({"THRIVE_TENANT_ID": "t", "THRIVE_API_KEY_FILE": "/nowhere/key"}, "cannot read /nowhere/key"),
    ],
)
def test_missing_and_contradicting_credentials_are_named(
    run: Run, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], words: str
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    result = run("tags", "list")
    assert result.code == 2
    assert words in result.one_line()


def test_a_key_file_that_is_empty_or_no_text_is_refused_and_one_that_is_sound_is_used(
    run: Run, served: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    key = tmp_path / "key"
    monkeypatch.delenv("THRIVE_API_KEY")
    monkeypatch.setenv("THRIVE_API_KEY_FILE", str(key))
    key.write_text("\n")
    assert "is empty" in run("tags", "list").one_line()
    key.write_bytes(b"\xff\xfe\xff")
    assert "not a text file" in run("tags", "list").one_line()
    key.write_text(served.tokens.api_key + "\n")
    assert run("tags", "list").code == 0


def test_a_blank_variable_is_one_that_is_not_set(run: Run, served: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("THRIVE_API_KEY", "THRIVE_REGION", "THRIVE_CLIENT_SECRET_FILE"):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("THRIVE_CLIENT_ID", served.tokens.client_id)
    monkeypatch.setenv("THRIVE_CLIENT_SECRET", served.tokens.client_secret)
    assert run("tags", "list").code == 0
    ThriveClient.from_env()


def test_a_command_reads_every_variable_that_a_client_reads(
    run: Run, served: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    share = tmp_path / "share"
    monkeypatch.setenv("THRIVE_SHARE", str(share))
    assert run("tags", "list").code == 0
    assert list(share.iterdir())
    monkeypatch.setenv("THRIVE_SHARE", "relative/folder")
    assert "THRIVE_SHARE" in run("tags", "list").one_line()
    monkeypatch.delenv("THRIVE_SHARE")
    monkeypatch.setenv("THRIVE_BASE_URL", "http://thrive.invalid")
    assert "set THRIVE_ALLOW_HTTP" in run("tags", "list").one_line()
    monkeypatch.setenv("THRIVE_ALLOW_HTTP", "true")
    assert run("tags", "list", "--attempts", "1").code == 4


def test_oauth_credentials_come_from_the_environment_and_a_file(
    run: Run, served: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text(served.tokens.client_secret)
    monkeypatch.delenv("THRIVE_API_KEY")
    monkeypatch.setenv("THRIVE_CLIENT_ID", served.tokens.client_id)
    monkeypatch.setenv("THRIVE_CLIENT_SECRET_FILE", str(secret))
    monkeypatch.setenv("THRIVE_SCOPES", "api/read")
    assert run("tags", "list").code == 0
    assert "api%2Fread" in str(served.requests[0].body) or "api/read" in str(served.requests[0].body)


@pytest.mark.parametrize(
    ("content", "tokens", "words"),
    [
        (b"", (), "is empty"),
        (b"\xef\xbb\xbf\r\n", (), "is empty"),
        (b"name,town\nAnna,Ulm\n", (), "say which column"),
        (b"name,email\nAnna,a@x.org\n", ("--column", "mail2"), "no column 'mail2'"),
        (b"name,email\nAnna,a@x.org\n", ("--column", "3"), "no column '3'"),
        ("email\nzoë@x.org\n".encode("cp1252"), (), "--encoding cp1252"),
        (b"PK\x03\x04", (), "workbook or an archive that is damaged"),
        (b"[" * 100_000, (), "nested too deep"),
        (b'{"id":' * 100_000, (), "nested too deep"),
        (b'{"id": [[1]]}', (), "a list is not the name of a person"),
        (b"email\na@x.org\n", ("--max-removals", "0.1"), "write a number of people"),
        (b"email\na@x.org\n", ("--max-removals", "110%"), "at most 100%"),
        (b"email\na@x.org\n", ("--max-removals", "-3"), "--max-removals"),
        (b"email\na@x.org\n", ("--report", "out.txt"), "must end in .csv or .json"),
        (b"email\na@x.org\n", ("--report", "/nowhere/out.csv"), "cannot write there"),
        (b"email\na@x.org\n", ("--dry-runn",), "--dry-runn"),
        (b"email\na@x.org\n", ("--rate", "0"), "rate"),
        (b"email\na@x.org\n", ("--timeout", "-1"), "positive number of seconds"),
        (b"email\na@x.org\n", ("--attempts", "0"), "at least 1"),
    ],
)
def test_a_file_or_option_that_cannot_be_meant_stops_a_sync_before_anything_is_sent(  # noqa: PLR0917 - fixtures
    run: Run, served: Sandbox, tmp_path: Path, content: bytes, tokens: tuple[str, ...], words: str
) -> None:
    file = tmp_path / "people.csv"
    file.write_bytes(content)
    result = run(*SYNC, str(file), *tokens)
    assert result.code == 2
    assert words in result.one_line()
    assert len(served.requests) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["people.csv"]


def test_a_plan_nested_too_deep_is_refused_in_one_line(run: Run, tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text("[" * 100_000)
    result = run("plan", "show", str(plan))
    assert result.code == 2
    assert result.one_line().endswith("is not a saved plan: it is nested too deep")


def test_a_file_that_does_not_exist_is_named(run: Run, served: Sandbox) -> None:
    result = run(*SYNC, "/nowhere/people.csv")
    assert result.code == 2
    assert result.one_line() == "thrive: cannot read /nowhere/people.csv: No such file or directory"


def test_a_mistyped_option_is_not_taken_for_a_file(run: Run, served: Sandbox) -> None:
    result = run(*SYNC, "--dryrun")
    assert result.code == 2
    assert "--dryrun" in result.one_line()
    assert len(served.requests) == 0


def test_wrong_credentials_exit_4_and_say_what_to_check(
    run: Run, served: Sandbox, monkeypatch: pytest.MonkeyPatch, people: Callable[..., str]
) -> None:
    monkeypatch.setenv("THRIVE_API_KEY", "wrong-key")
    result = run(*SYNC, people(["a@example.com"]), "--yes")
    assert result.code == 4
    line = result.err.splitlines()[-1]
    assert "401" in line
    assert "check THRIVE_TENANT_ID and THRIVE_API_KEY" in line
    assert "wrong-key" not in result.err
    assert not WRITES & {entry.method for entry in served.requests}


def test_a_missing_audience_is_refused_by_the_guard(run: Run, served: Sandbox, people: Callable[..., str]) -> None:
    result = run("sync", "members", "no-such-audience", people(["a@example.com"]), "--yes")
    assert result.code == 3
    assert "there is no such audience" in result.err.splitlines()[-1]
    assert not WRITES & {entry.method for entry in served.requests}


def test_a_missing_item_exits_4(run: Run, served: Sandbox) -> None:
    result = run("audiences", "get", "no-such-audience")
    assert result.code == 4
    assert "404" in result.one_line()


def test_a_server_that_cannot_be_reached_exits_4(run: Run, served: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THRIVE_BASE_URL", "http://127.0.0.1:9")
    result = run("users", "list", "--attempts", "1")
    assert result.code == 4
    assert result.one_line().startswith("thrive: ")


@pytest.mark.parametrize(
    "tokens",
    [
        ("nonsense",),
        ("sync", "nonsense"),
        ("users", "get"),
        ("users", "list", "--format", "xml"),
        ("users", "list", "x"),
    ],
)
def test_wrong_usage_exits_2_and_points_to_the_help(run: Run, tokens: tuple[str, ...]) -> None:
    result = run(*tokens)
    assert result.code == 2
    assert "--help`" in result.one_line()


def test_a_bug_is_one_line_and_its_own_exit_code(run: Run, served: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr("thrive_async.cli._resource_commands.Writer", broken)
    result = run("tags", "list")
    assert result.code == 70
    assert "internal error, please report it: RuntimeError: boom" in result.one_line()
    monkeypatch.setenv("THRIVE_DEBUG", "1")
    assert "Traceback" in run("tags", "list").err


def test_no_secret_is_an_option(run: Run) -> None:
    for command in (("sync", "members"), ("users", "list"), ("sandbox",)):
        help_text = run(*command, "--help").out
        assert "--api-key" not in help_text
        assert "--client-secret" not in help_text


@pytest.mark.parametrize(
    ("error", "line", "code"),
    [
        (SyncError("torn"), "torn", 1),
        (KeyboardInterrupt(), "interrupted", 130),
        (OSError("odd"), "odd", 2),
        (OSError(28, "No space left on device", "/r.csv"), "/r.csv: No space left on device", 2),
        (ValueError("bad"), "bad", 2),
        (ConfigurationError("wrong"), "wrong", 2),
    ],
)
def test_every_kind_of_error_has_its_words_and_its_code(error: BaseException, line: str, code: int) -> None:
    assert describe(error) == (line, code)


def test_the_defaults_in_the_help_are_those_of_the_sdk(run: Run) -> None:
    """They stand in the help by hand, for `--help` does not wait for the SDK."""
    text = run("users", "list", "--help").out
    for option, default in (
        ("--concurrency", Limits().concurrency),
        ("--timeout", Timeouts().total),
        ("--attempts", Retry().max_attempts),
    ):
        told = text.partition(option)[2]
        assert f"(default {default:g})" in " ".join(told.replace("│", " ").split())[:120]


SYNCS = ("sync members team", "sync managers team", "sync users", "sync audiences", "sync audiences x --create-missing")
OVERWRITING = (
    ("--report", "{file}"),
    ("--journal", "{file}"),
    ("--report", "{folder}/../{name}/in.csv"),
    ("--journal", "{folder}/linked.csv"),
    ("--journal", "{folder}/run.json", "--report", "{folder}/run.json"),
    ("--journal", "{folder}/old.json", "--report", "{folder}/linked.json"),
    ("--save-plan", "{file}"),
    ("--save-plan", "{folder}/run.json", "--report", "{folder}/run.json"),
)


@pytest.mark.parametrize(
    ("command", "options"),
    [(command, options) for command in SYNCS for options in OVERWRITING]
    + [("plan apply", options) for options in OVERWRITING[:6]],
)
def test_nothing_is_written_over_what_is_read_or_written(
    run: Run, served: Sandbox, tmp_path: Path, command: str, options: tuple[str, ...]
) -> None:
    """However the file is named: it is refused before anything is sent, and nothing is lost."""
    file, old = tmp_path / "in.csv", tmp_path / "old.json"
    for one in (file, old):
        one.write_text("", encoding="utf-8")
    (tmp_path / "linked.csv").symlink_to(file)
    (tmp_path / "linked.json").hardlink_to(old)
    named = [word.format(file=file, folder=tmp_path, name=tmp_path.name) for word in options]
    result = run(*command.split(), str(file), *named)
    assert result.code == 2
    assert result.one_line().endswith(": name another file")
    assert " would be written over " in result.err
    assert list(served.requests) == []
    assert sorted(one.name for one in tmp_path.iterdir()) == ["in.csv", "linked.csv", "linked.json", "old.json"]


@pytest.mark.parametrize("option", ["--timeout", "--concurrency", "--rate", "--attempts"])
@pytest.mark.parametrize("value", ["0", "-1"])
def test_a_limit_that_cannot_be_meant_is_called_by_its_option(
    run: Run, served: Sandbox, option: str, value: str
) -> None:
    """Not by the argument of the SDK that it becomes, and without a value that no option takes."""
    result = run("users", "list", option, value)
    assert result.code == 2
    assert result.one_line().startswith(f"thrive: {option} must be ")
    assert "None" not in result.err
    assert list(served.requests) == []


def test_who_asks_for_a_user_by_reference_is_told_how(run: Run, served: Sandbox) -> None:
    """An id that nobody has gets no such hint."""
    result = run("users", "get", "E00001")
    assert result.code == 4
    assert "404" in result.err
    assert result.one_line().endswith("(E00001 does not look like an id; if it is a reference, say --ref)")
    assert "--ref" not in run("users", "get", "0" * 24).one_line()
    assert run("users", "get", "E00001", "--ref").code == 0
