"""What a caller writes arrives as exactly that, or is refused; it becomes no other path, query, header or host."""

import asyncio
import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import aiohttp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from raw_server import RawServer, reply

from thrive_async import APIError, ApiKey, ClientCredentials, ConfigurationError, NotFoundError, ThriveClient, sync
from thrive_async import models as m
from thrive_async.cli import main
from thrive_async.sandbox import Sandbox

NASTY = [
    "../users",
    "..\\users",
    "a/b?c=d#e",
    "%2e%2e",
    "%2F..%2F",
    "..%2f..%2fadmin",
    "a%00b",
    "a\x00b",
    "a\nHost: evil",
    "a\r\nX-Evil: 1\r\n\r\nGET / HTTP/1.1",
    "\u202ekcab",
    "\u2066mark\u2069",
    "a;b=c",
    "a&b=c",
    "a+b c",
    "é\u0301ü",
    "😀",
    "@evil.example.com",
    "//evil.example.com",
    "https://evil.example.com/",
    "x" * 1900,
    "null",
    "*",
    "'; DROP TABLE users; --",
    "{{7*7}}",
    "$(id)",
]


@pytest.mark.parametrize("ref", NASTY, ids=range(len(NASTY)))
async def test_a_nasty_ref_arrives_as_exactly_that_ref(ref: str) -> None:
    """At a real server: the user of that very ref is found, changed and deleted, and nobody else."""
    async with Sandbox(users=5) as sandbox, sandbox.client() as thrive:
        record = sandbox.state.add_user(ref=ref, email="nasty@example.org")
        before = len(sandbox.state.users)
        assert (await thrive.users.get_by_ref(ref)).id == record["id"]
        assert (await thrive.users.update(ref, m.UserUpdate(first_name=ref[:50]))).first_name == ref[:50]
        result = await thrive.audiences.members.add("sales-emea", [ref])
        assert not result.is_partial
        await thrive.audiences.members.remove("sales-emea", ref)
        await thrive.users.delete(ref)
        assert len(sandbox.state.users) == before
        assert {entry.operation for entry in sandbox.requests} == {
            "getUserByRef",
            "updateUser",
            "addMembers",
            "removeMember",
            "deleteUser",
        }


@pytest.mark.parametrize("ref", ["", " ", "\t", ".", "..", "\ud800", "x" * 10_000])
async def test_a_ref_that_cannot_be_one_is_refused_and_nothing_is_sent(ref: str) -> None:
    async with RawServer([reply(200, {})]) as server, server.client() as thrive:
        calls: list[Callable[[], Any]] = [
            lambda: thrive.users.get_by_ref(ref),
            lambda: thrive.users.delete(ref),
            lambda: thrive.audiences.members.remove("a", ref),
            lambda: thrive.audiences.members.remove(ref, "a"),
            lambda: thrive.users.suspend(ref),
        ]
        for call in calls:
            with pytest.raises(ValueError):  # noqa: PT011
                await call()
    assert server.requests == []


ANY = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)


@given(ref=ANY, value=ANY, header=ANY)
@settings(max_examples=60, deadline=None)
def test_any_text_arrives_as_itself_in_path_query_and_body(ref: str, value: str, header: str) -> None:
    async def main() -> None:
        async with RawServer([reply(200, b"")]) as server, server.client() as thrive:
            try:
                await thrive.audiences.members.remove(ref, value)
            except ValueError:
                assert not ref.strip() or not value.strip() or {ref, value} & {".", ".."}
                return
            await thrive.request("POST", "/rest/v1/x", params={"q": value}, json=[header])
            remove, post = server.requests
            _, _rest, _v1, _audiences, first, _members, second = remove.target.split("/")
            assert (unquote(first), unquote(second)) == (ref, value)
            path, _, query = post.target.partition("?")
            assert path == "/rest/v1/x"
            name, _, sent = query.partition("=")
            assert (name, unquote(sent)) == ("q", value)
            assert "&" not in query
            assert set(post.headers) == {
                "host", "accept", "user-agent", "content-type", "accept-encoding", "authorization", "content-length",
            }  # fmt: skip

    asyncio.run(main())


async def test_a_query_name_cannot_break_out_either() -> None:
    async with RawServer([reply(200, {})]) as server, server.client() as thrive:
        await thrive.request("GET", "/rest/v1/x", params={"a&b=c#d": "1", "e f": "2"})
    assert server.requests[0].target == "/rest/v1/x?a%26b%3Dc%23d=1&e%20f=2"


@pytest.mark.parametrize("secret", ["a\nb", "a\r\nX-Evil: 1", "a\x00b", " ", "", "\x7f"])
def test_a_secret_that_would_break_a_header_is_refused(secret: str) -> None:
    with pytest.raises(ConfigurationError):
        ApiKey(secret)
    with pytest.raises(ConfigurationError):
        ClientCredentials("id", secret)


async def test_any_other_secret_arrives_whole() -> None:
    secret = "pä:ss&wörd=+/% \u20ac"
    async with RawServer([reply(200, [])]) as server, server.client(credentials=ApiKey(secret)) as thrive:
        await thrive.skills.levels()
        assert server.requests[0].headers["authorization"] == aiohttp.encode_basic_auth("eu-west-2_Raw", secret)


@pytest.mark.parametrize("tenant", ["a b", "a\nb", "a/../b", "a?b", "ä", "a:b"])
def test_a_tenant_id_that_would_change_a_path_or_a_header_is_refused(tenant: str) -> None:
    with pytest.raises(ConfigurationError):
        ThriveClient(tenant, ApiKey("k"))


# Credentials go to the configured hosts only


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("where", ["another host", "another port", "plain http", "the same host"])
async def test_no_redirect_takes_credentials_anywhere(status: int, where: str) -> None:
    async with RawServer([reply(200, {"id": "1"})]) as thief:
        locations = {
            "another host": f"http://localhost:{thief.port}/",
            "another port": f"{thief.base_url}/",
            "plain http": f"http://127.0.0.1:{thief.port}/",
            "the same host": "/rest/v1/user/u2",
        }
        redirect = reply(status, b"", Location=locations[where])
        for credentials in (ApiKey("k"), ClientCredentials("id", "secret")):
            async with RawServer([redirect]) as server, server.client(credentials=credentials) as thrive:
                with pytest.raises(APIError, match="a redirect is never followed"):
                    await thrive.users.get("u1")
                assert len(server.requests) == 1
        assert thief.requests == []


async def test_a_paging_link_of_a_server_is_not_followed() -> None:
    async with RawServer([reply(200, [])]) as thief:
        body = {"results": [{"id": "1"}], "pagination": {"totalPages": 1, "next": thief.base_url}}
        link = f'<{thief.base_url}/>; rel="next"'
        async with RawServer([reply(200, body, Link=link)]) as server, server.client() as thrive:
            assert len(await thrive.users.list().collect()) == 1
        assert thief.requests == []


async def test_a_path_given_to_request_stays_on_the_host() -> None:
    async with RawServer([reply(404)]) as server, server.client() as thrive:
        for path in ("/@evil.example.com/", "/x@evil.example.com:80/", "/\\evil.example.com", "/ x", "/%0d%0aX-Evil:1"):
            with pytest.raises(NotFoundError):
                await thrive.request("GET", path)
        assert len(server.requests) == 5
        assert all("x-evil" not in request.headers for request in server.requests)
        assert all(request.target.startswith("/") for request in server.requests)


# What is written into files


COMMANDS = ["\x1b[31m", "\x9b31m", "\x07", "\x08\x08", "\x7f", "\x1b]0;owned\x07"]


def looked_at_in_a_terminal(text: str) -> None:
    """Whatever a terminal takes for a command, but for the ends of lines and the tabs of a table."""
    assert not [char for char in text if char not in "\t\r\n" and (ord(char) < 32 or 127 <= ord(char) < 160)]


async def test_a_journal_is_inert_in_a_terminal_and_the_same_json(tmp_path: Path) -> None:
    words = "".join(COMMANDS)
    names = ["E00001", "\u202etxt.exe", "Zo\u00eb@example.org", "\U000e0041tag"]
    async with Sandbox(users=5) as sandbox, sandbox.client() as thrive:
        sandbox.faults.add("status", operation="addMembers", status=422, times=None, body={"message": words})
        sandbox.state.add_audience(f"a{words}b")
        for audience in ("sales-emea", f"a{words}b"):
            path = tmp_path / "run.jsonl"
            await sync.sync_members(thrive, audience, [*names, *COMMANDS], removals=False, journal=path)
    text = path.read_text(encoding="utf-8")
    looked_at_in_a_terminal(text)
    assert "\u202e" not in text
    assert "Zo\u00eb" in text
    head, *_outcomes = [json.loads(line) for line in text.splitlines() if "planned" in json.loads(line)]
    # Characters that cannot be seen are dropped from names.
    assert set(head["planned"]["add"]) <= {"E00001", "txt.exe", "Zo\u00eb@example.org", "tag"}
    assert {json.loads(line)["audience"] for line in text.splitlines()} == {"sales-emea", f"a{words}b"}


@pytest.mark.parametrize("suffix", ["csv", "json"])
def test_a_report_neither_computes_nor_acts_on_a_terminal(
    suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["=1+1", "+49", "@SUM(A1)", "-2", *(f"a{command}b" for command in COMMANDS), *COMMANDS, "\u202etxt.exe"]
    file, report = tmp_path / "people.csv", tmp_path / f"report.{suffix}"
    with file.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([["ref"], *([name] for name in names), ["E00001"]])
    with Sandbox(users=5) as sandbox:
        for name, value in sandbox.environment.items():
            monkeypatch.setenv(name, value)
        main(("sync", "members", "sales-emea", str(file), "--keep-extra", "--report", str(report)))
    text = report.read_bytes().decode()
    looked_at_in_a_terminal(text)
    assert "\u202e" not in text
    assert "u001b[31mb" in text
    if suffix == "csv":
        cells = [cell for row in csv.reader(text.splitlines()) for cell in row]
        assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]
        assert "'=1+1" in cells
    else:
        assert "=1+1" in {one["reference"] for one in json.loads(text)["outcomes"]}


@pytest.mark.parametrize("format_", ["csv", "jsonl", "table"])
def test_a_list_written_to_a_file_neither_computes_nor_acts_on_a_terminal(
    format_: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with Sandbox(users=5) as sandbox:
        for name, value in sandbox.environment.items():
            monkeypatch.setenv(name, value)
        for at, command in enumerate([*COMMANDS, "=1+1"]):
            sandbox.state.add_user(email=f"x{at}@example.org", firstName=command, lastName=f"a{command}b")
        assert main(("users", "list", "--format", format_)) == 0
    out = capsys.readouterr().out
    looked_at_in_a_terminal(out)
    if format_ == "jsonl":
        assert COMMANDS[0] in {json.loads(line).get("firstName") for line in out.splitlines()}
    if format_ == "csv":
        assert "'=1+1" in {cell for row in csv.reader(out.splitlines()) for cell in row}
