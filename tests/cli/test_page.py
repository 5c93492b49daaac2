"""`--html`, `--summary` and `--show`: what they say of a plan and of a run. `tests/browser` opens the page."""

from __future__ import annotations

import csv
import hashlib
import json
import re
import stat
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from thrive_async import Limits
from thrive_async.cli._page.content import Bar, Content, Happening, Person
from thrive_async.cli._page.markdown import markdown
from thrive_async.cli._page.names import read_names
from thrive_async.cli._page.render import html
from thrive_async.cli._plan_views import Limit
from thrive_async.sandbox import Sandbox

from .conftest import AUDIENCE, Run

SYNC = ("sync", "members", AUDIENCE)
#: What a name could try in HTML, in a script, in JSON, in Markdown and on a terminal.
HOSTILE = "</script><script>alert(1)</script><!--`|[x](http://x.example)\x1b[31m\u202egnp.exe"
Write = Callable[..., str]


class _Parts(HTMLParser):
    """The elements of a page, and the texts of its scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self._in_script = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._in_script = tag == "script"

    def handle_endtag(self, tag: str) -> None:
        self._in_script = False

    def handle_data(self, data: str) -> None:
        if self._in_script:
            self.scripts.append(data)


def parsed(page: str) -> _Parts:
    parts = _Parts()
    parts.feed(page)
    return parts


def data_of(page: Path | str) -> dict[str, Any]:
    """What the script of a page shows."""
    text = page if isinstance(page, str) else page.read_text(encoding="utf-8")
    return json.loads(parsed(text).scripts[0])


def people_of(page: Path | str) -> list[tuple[str, ...]]:
    """Audience, what happens, name, e-mail address, reference and reason of everybody."""
    data = data_of(page)
    people = data["people"]
    return [
        (
            data["subjects"][people["subject"][at]],
            data["happenings"][people["happening"][at]][0],
            people["name"][at],
            people["email"][at],
            people["reference"][at],
            data["reasons"][people["reason"][at]],
        )
        for at in range(len(people["name"]))
    ]


def content(people: Iterable[Person] = (), **more: Any) -> Content:
    """A page's content, as small as it gets."""
    usual: dict[str, Any] = {"kind": "plan", "title": "users", "facts": [], "limits": [], "problems": []}
    bars = [Bar(name="users", now=1, parts={"staying": 1})]
    return Content(**{**usual, "bars": bars, "people": [*people], "named": True, **more})


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a CSV of these rows."""

    def write(*rows: Iterable[str]) -> str:
        path = tmp_path / "list.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows(rows)
        return str(path)

    return write


@pytest.fixture
def page(tmp_path: Path) -> Path:
    return tmp_path / "page.html"


def test_a_dry_run_writes_the_plan_with_names_that_thrive_knows(
    run: Run, served: Sandbox, members: list[str], people: Write, page: Path
) -> None:
    new = served.state.add_user(email="new@example.com", first_name="Ada", last_name="Lovelace", ref="N-1")
    leaver = served.state.users[next(iter(served.state.audiences[AUDIENCE].members))]
    leaver.update(firstName="Grace", lastName="Hopper")
    file = people([*members[1:], new["email"].upper(), "ghost@example.com"])
    result = run(*SYNC, file, "--dry-run", "--unknown", "remove", "--html", str(page))
    assert result.code == 0
    assert f"page written: {page}" in result.err
    assert [one[1:4] for one in people_of(page)] == [
        ("joins", "Ada Lovelace", "new@example.com"),
        ("unknown to Thrive", "", ""),
        ("leaves", "Grace Hopper", members[0]),
    ]
    now = len(members)
    [bar] = data_of(page)["bars"]
    assert (bar[1], dict(zip([one[0] for one in data_of(page)["parts"]], bar[2], strict=True))) == (
        now,
        {
            **dict.fromkeys(("changing", "held", "failed", "ambiguous", "rejected"), 0),
            "staying": now - 1,
            "joining": 1,
            "leaving": 1,
            "unknown": 1,
        },
    )
    if sys.platform != "win32":
        assert stat.S_IMODE(page.stat().st_mode) == 0o600


def test_names_are_read_in_pages_of_users_and_no_one_by_one(
    run: Run, served: Sandbox, members: list[str], people: Write, page: Path
) -> None:
    run(*SYNC, people([*members[1:], "ghost@example.com"]), "--dry-run", "--html", str(page))
    paths = [entry.path for entry in served.requests if "/user" in entry.path]
    assert paths
    assert {path.rpartition("/")[2] for path in paths} == {"users"}


async def test_the_walk_over_the_users_ends_when_all_are_found(sandbox: Sandbox) -> None:
    first = next(user for user in sandbox.state.users.values() if user.get("email"))
    async with sandbox.client(limits=Limits(per_page=5)) as thrive:
        names = await read_names(thrive, [first["email"].upper(), first["id"], ""])
        assert names.of(first["id"]) == names.of(first["email"])
        assert names.complete
        assert 1 <= len(sandbox.requests) < 12
        before = len(sandbox.requests)
        assert (await read_names(thrive, [])).of("anyone") is None
        assert len(sandbox.requests) == before


def test_without_names_the_page_is_written_all_the_same(
    run: Run, served: Sandbox, members: list[str], people: Write, page: Path
) -> None:
    served.faults.add("status", operation="searchUsers", times=None, status=403)
    result = run(*SYNC, people(members[1:]), "--dry-run", "--html", str(page))
    assert result.code == 0
    assert "names could not be read, so the page goes without them: " in result.err
    assert "Names were not read from Thrive." in page.read_text(encoding="utf-8")


def test_a_run_writes_what_was_done(run: Run, served: Sandbox, members: list[str], people: Write, page: Path) -> None:
    new = served.state.add_user(email="new@example.com")["email"]
    file = people([*members[1:], new, "ghost@example.com"])
    result = run(*SYNC, file, "--yes", "--unknown", "remove", "--html", str(page))
    assert result.code == 1
    assert {(one[1], one[5]) for one in people_of(page)} == {
        ("joined", ""),
        ("left", ""),
        ("failed to join", "User does not exist."),
    }
    text = page.read_text(encoding="utf-8")
    assert "<title>Report: sales-emea</title>" in text
    assert "1 change failed or was not attempted" in text
    assert "Run ended" in text


def test_a_plan_that_a_guard_refuses_is_written_with_the_reason(
    run: Run, served: Sandbox, members: list[str], people: Write, page: Path
) -> None:
    result = run(*SYNC, people(members[10:]), "--yes", "--html", str(page), "--max-removals", "3")
    assert result.code == 3
    text = page.read_text(encoding="utf-8")
    assert f"A guard refuses this plan: 10 of {len(members)} people removed" in text
    assert "--max-removals allows 3" in text


def test_a_plan_that_is_not_agreed_to_is_written_with_the_reason(
    run: Run, served: Sandbox, members: list[str], people: Write, page: Path
) -> None:
    assert run(*SYNC, people(members[1:]), "--html", str(page)).code == 3
    assert "1 person would be removed; nothing was changed. Say --yes to do so" in page.read_text(encoding="utf-8")


def test_users_are_shown_with_old_and_new_values(run: Run, served: Sandbox, write: Write, page: Path) -> None:
    user = served.state.add_user(email="ada@example.com", ref="E-1", first_name="Ada", last_name="Byron")
    served.state.add_user(email="bo@example.com", ref="E-2", first_name="Bo", last_name="Ek")
    file = write(
        ("ref", "first_name", "last_name", "email"),
        ("E-1", "Ada", "Lovelace", user["email"]),
        ("N-1", "Grace", "Hopper", "grace@example.com"),
    )
    result = run("sync", "users", file, "--dry-run", "--leavers", "suspend", "--html", str(page), "--show", "who")
    found = people_of(page)
    assert ("users", "changes", "Ada Byron", "ada@example.com", "", "") in found
    assert ("users", "gets an account", "Grace Hopper", "grace@example.com", "", "") in found
    assert ("users", "is suspended", "Bo Ek", "bo@example.com", "", "") in found
    assert [["last_name", "Byron", "Lovelace"]] in data_of(page)["people"]["changes"].values()
    assert "  Ada Byron, ada@example.com, E-1  last_name: Byron -> Lovelace" in result.lines
    assert "names or addresses changed" in page.read_text(encoding="utf-8")


def test_managers_have_a_page(run: Run, served: Sandbox, members: list[str], write: Write, page: Path) -> None:
    file = write(("email", "peopleManager.insights"), (members[0], "yes"))
    assert run("sync", "managers", AUDIENCE, file, "--dry-run", "--keep-extra", "--html", str(page)).code == 0
    assert (f"{AUDIENCE} (managers)", "changes") in {one[:2] for one in people_of(page)}


@pytest.fixture
def audiences(served: Sandbox, members: list[str], write: Write) -> str:
    """A file for three audiences: one has changes, one is new, one does not exist; one row is unreadable."""
    rows = [(AUDIENCE, name) for name in members[1:]]
    return write(("audience", "member"), *rows, (AUDIENCE, "#N/A"), ("new-one", members[0]), ("nowhere", members[0]))


def test_audiences_show_what_needs_a_reader_first(
    run: Run, served: Sandbox, audiences: str, page: Path, tmp_path: Path
) -> None:
    described = tmp_path / "new.csv"
    described.write_text("reference,name,parent\nacme,Acme,\nnew-one,New,acme\n")
    options = ("--create-missing", str(described), "--dry-run", "--html", str(page), "--show", "bars")
    result = run("sync", "audiences", audiences, *options)
    data = data_of(page)
    bars = {data["subjects"][bar[0]]: bar[3] for bar in data["bars"]}
    assert list(bars)[-1] == AUDIENCE
    assert bars["nowhere"].startswith("refused: nowhere: there is no such audience")
    assert bars["new-one"] == "to be created in acme"
    assert bars["acme"] == "a structure to be created"
    assert {"held", "rejected"} <= {one[1] for one in people_of(page)}
    assert any(line.startswith(f"{AUDIENCE}  ====") for line in result.lines)
    assert "= stay  + join  h held  r rejected" in result.lines
    assert "all audiences together" in page.read_text(encoding="utf-8")


def test_an_audience_that_a_guard_refused_is_shown_with_all_its_people(
    run: Run, served: Sandbox, members: list[str], write: Write, page: Path
) -> None:
    small = [served.state.add_user(email=f"small{number}@example.com") for number in range(4)]
    served.state.add_audience("small", members=[user["id"] for user in small])
    rows = [*((AUDIENCE, name) for name in members[1:]), ("small", small[0]["email"])]
    file = write(("audience", "member"), *rows)
    assert run("sync", "audiences", file, "--yes", "--html", str(page)).code == 3
    found = {(one[0], one[1]) for one in people_of(page)}
    assert found == {(AUDIENCE, "left"), ("small", "did not leave yet")}
    data = data_of(page)
    assert data["subjects"][data["bars"][0][0]] == "small"
    assert data["bars"][0][3].startswith("refused: small: the plan removes 3 of 4 members")
    assert "Nothing was done in 1 audience: see below" in page.read_text(encoding="utf-8")


def test_a_saved_plan_is_shown_with_names_only_if_they_are_asked_for(
    run: Run, served: Sandbox, audiences: str, page: Path, tmp_path: Path
) -> None:
    plan = str(tmp_path / "plan.json")
    run("sync", "audiences", audiences, "--dry-run", "--save-plan", plan)
    before = len(served.requests)
    assert run("plan", "show", plan, "--html", str(page)).code == 0
    assert len(served.requests) == before
    assert not any(one[2] for one in people_of(page))
    result = run("plan", "show", plan, "--html", str(page), "--names", "--show", "who", "--format", "table")
    assert any(one[2] for one in people_of(page))
    assert "held: 1" in result.lines
    assert run("plan", "show", plan, "--format", "jsonl", "--html", str(page)).code == 0


def test_a_summary_is_added_to_its_file_without_people(
    run: Run, served: Sandbox, audiences: str, members: list[str], tmp_path: Path
) -> None:
    summary = tmp_path / "summary.md"
    summary.write_text("# Earlier step\n")
    assert run("sync", "audiences", audiences, "--yes", "--summary", str(summary)).code == 3
    text = summary.read_text()
    assert text.startswith("# Earlier step\n## Report: 3 audiences\n")
    assert re.search(rf"^\| {AUDIENCE} \| {len(members)} \| {len(members) - 1} \|", text, re.MULTILINE)
    assert not any(name in text for name in members)


def test_markdown_shows_names_as_they_are() -> None:
    bars = [Bar(name=HOSTILE, note="www.x.example", parts={"joining": 1}), *(Bar(name=f"a{at}") for at in range(60))]
    text = markdown(content(title=HOSTILE, bars=bars, problems=[HOSTILE], limits=[LIMIT]))
    assert r"\<\/script\>" not in text
    assert (
        r"\</script\>\<script\>alert(1)\</script\>\<\!--\`\|\[x\](http\://x.example)\\u001b\[31m\\u202egnp.exe" in text
    )
    assert r"www\.x.example" in text
    assert "The 50 largest changes of 61 audiences." in text
    assert "| Guard `--max-removals` | 3 of 10 people removed: 1 allowed, **refused** |" in text


LIMIT = Limit(what="people removed", planned=3, current=10, allowed=1, option="--max-removals")


def test_a_page_needs_no_other_file_and_allows_no_other_script() -> None:
    parts = parsed(html(content([PERSON])))
    assert {tag for tag, attributes in parts.elements if {"src", "href", "srcset", "data"} & attributes.keys()} == set()
    [policy] = [one["content"] for _tag, one in parts.elements if one.get("http-equiv") == "Content-Security-Policy"]
    assert policy is not None
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert "style" not in {name for _tag, attributes in parts.elements for name in attributes}
    assert not {name for _tag, attributes in parts.elements for name in attributes if name.startswith("on")}


PERSON = Person(
    audience=HOSTILE,
    happening=Happening("changes", "changing"),
    reference=HOSTILE,
    name=HOSTILE,
    email=HOSTILE,
    ref=HOSTILE,
    reason=HOSTILE,
    changes={HOSTILE: (HOSTILE, {"a": HOSTILE})},
)


def test_a_hostile_name_ends_no_element_and_begins_none() -> None:
    plain = parsed(html(content([])))
    person = parsed(html(content([PERSON], title=HOSTILE, facts=[("File", HOSTILE)], problems=[HOSTILE])))
    assert len(person.scripts) == len(plain.scripts) == 2
    assert "alert(1)" in person.scripts[0]
    # `</script ` ends a script, too, and after `<!--<script ` its own end tag is none.
    odd = html(content([replace(PERSON, name="</script x", reason="<!--<script x", email="&lt;/script&gt;")]))
    data = odd.partition('id="data">')[2].partition("</script>")[0]
    assert json.loads(data)["people"]["name"] == ["</script x"]
    assert not re.search("[<>&]", data)
    assert json.loads(person.scripts[0])["people"]["name"] == [HOSTILE]
    assert "\x1b" not in html(content(title=HOSTILE))


def test_a_page_without_people_says_so() -> None:
    assert "Nothing would happen to anyone." in html(content())
    assert "Nothing happened to anyone." in html(content(kind="report"))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--html", "{folder}/page.txt"), "the name must end in .html"),
        (("--html", "{folder}/none/page.html"), "cannot write there"),
        (("--summary", "{folder}/none/summary.md"), "cannot write there"),
        (("--summary", "{file}"), "would be written over the file "),
        (("--html", "{folder}/one.html", "--report", "{folder}/one.html"), "would be written over"),
    ],
)
def test_a_file_that_cannot_be_meant_is_refused_before_anything_is_sent(  # noqa: PLR0917 - fixtures
    run: Run, served: Sandbox, members: list[str], people: Write, tmp_path: Path, options: tuple[str, ...], said: str
) -> None:
    file = people(members)
    told = [option.format(folder=tmp_path, file=file) for option in options]
    result = run(*SYNC, file, "--dry-run", *told)
    assert result.code == 2
    assert said in result.one_line()
    assert not len(served.requests)


def test_a_page_that_can_no_longer_be_written_does_not_hide_what_was_done(  # noqa: PLR0917 - fixtures
    run: Run, served: Sandbox, members: list[str], people: Write, page: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", str(page))

    monkeypatch.setattr("thrive_async.cli._page.written.Pages._write", full)
    result = run(*SYNC, people(members[1:]), "--yes", "--html", str(page))
    assert result.code == 1
    assert f"{page}: cannot be written: No space left on device" in result.err
    assert "1 removed" in result.out


def test_bars_are_coloured_on_a_terminal(
    terminal: Callable[..., tuple[int, str, str]], served: Sandbox, members: list[str], people: Write
) -> None:
    code, out, _err = terminal(*SYNC, people(members[1:]), "--dry-run", "--show", "bars", "--show", "who")
    assert code == 0
    assert re.search(r"\x1b\[[0-9;]*7[0-9;]*m=+", out)
    assert "leaves: 1\n" in out


def test_the_page_names_the_file_that_the_list_came_from(
    run: Run, served: Sandbox, members: list[str], people: Write, page: Path
) -> None:
    file = people(members)
    assert run(*SYNC, file, "--dry-run", "--html", str(page)).code == 0
    text = page.read_text(encoding="utf-8")
    assert f"{file}, {len(members)} rows" in text
    assert hashlib.sha256(Path(file).read_bytes()).hexdigest() in text
