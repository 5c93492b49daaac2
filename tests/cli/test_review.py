"""`thrive plan review`, `--require-approval`: a decision counts for one plan, and only the review's page makes one."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import Queue

import aiohttp
import pytest

from thrive_async.cli import main
from thrive_async.cli._approval import Approval, approval_path, check_approved
from thrive_async.cli._page.content import Subjects, plan_content
from thrive_async.cli._page.names import Names
from thrive_async.cli._plan_views import load_plan, read_plan
from thrive_async.cli._review import review
from thrive_async.sandbox import Sandbox

from .conftest import AUDIENCE, Run

HOW = {"max_removals": 0.1, "max_changes": 0.1, "max_total_removals": 0.1}
FORM = {"who": "Ada Lovelace", "reason": "looks right", "decision": "approved"}


@pytest.fixture
def plan(run: Run, served: Sandbox, members: list[str], people: Callable[..., str], tmp_path: Path) -> str:
    """A saved plan that removes two people and adds one."""
    new = served.state.add_user(email="new@example.com")["email"]
    file = str(tmp_path / "plan.json")
    assert run("sync", "members", AUDIENCE, people([*members[2:], new]), "--dry-run", "--save-plan", file).code == 0
    return file


@dataclass
class Served:
    """A review that is under way."""

    address: str
    task: asyncio.Task[Approval]
    session: aiohttp.ClientSession

    @property
    def origin(self) -> str:
        return self.address.rsplit("/", 2)[0]

    async def post(self, form: dict[str, str], **headers: str) -> tuple[int, str]:
        sent = {"Origin": self.origin, **headers}
        async with self.session.post(f"{self.address}decision", data=form, headers=sent) as answer:
            return answer.status, await answer.text()


@asynccontextmanager
async def reviewing(plan: str) -> AsyncIterator[Served]:
    """Serve the review of a plan."""
    content = plan_content(Subjects(load_plan(plan)), Names(), HOW)
    told: asyncio.Queue[str] = asyncio.Queue()
    task = asyncio.create_task(review(plan, read_plan(plan), content, who="ada", told=told.put_nowait))
    address = await told.get()
    try:
        async with aiohttp.ClientSession() as session:
            yield Served(address, task, session)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_an_approval_is_written_beside_the_plan_and_ends_the_review(plan: str) -> None:
    async with reviewing(plan) as served:
        async with served.session.get(served.address) as answer:
            page = await answer.text()
            assert answer.status == 200
            assert 'value="ada"' in page
            assert answer.headers["Cache-Control"] == "no-store"
            assert "form-action 'self'; frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
        status, text = await served.post(FORM)
        assert (status, "You approved this plan" in text) == (200, True)
        decision = await served.task
        with pytest.raises(aiohttp.ClientConnectionError):
            await served.session.get(served.address)
    assert (decision.who, decision.reason, decision.decision) == ("Ada Lovelace", "looks right", "approved")
    assert check_approved(plan, read_plan(plan)) == decision
    if sys.platform != "win32":
        assert stat.S_IMODE(approval_path(plan).stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/wrong-token/decision", {}, 404),
        ("/decision", {}, 404),
        (None, {"Host": "thrive.example:80"}, 421),
        (None, {"Host": "localhost"}, 421),
        (None, {"Origin": "https://thrive.example"}, 403),
        (None, {"Origin": "null"}, 403),
    ],
)
async def test_a_request_that_is_not_the_pages_own_decides_nothing(
    plan: str, path: str | None, headers: dict[str, str], status: int
) -> None:
    async with reviewing(plan) as served:
        target = f"{served.address}decision" if path is None else f"{served.origin}{path}"
        sent = {"Origin": served.origin, **headers}
        async with served.session.post(target, data=FORM, headers=sent) as answer:
            assert answer.status == status
        async with served.session.post(f"{served.address}decision", data=FORM) as answer:
            assert answer.status == 403, "a request without an origin"
        assert not served.task.done()
    assert not approval_path(plan).exists()


async def test_only_this_machine_can_reach_it(plan: str) -> None:
    async with reviewing(plan) as served:
        assert served.origin.startswith("http://127.0.0.1:")
        async with served.session.get(f"{served.origin}/", headers={}) as answer:
            assert answer.status == 404
            assert "sales" not in await answer.text()


@pytest.mark.parametrize(
    ("form", "problem"),
    [
        ({**FORM, "who": " "}, "Say who you are."),
        ({**FORM, "decision": "rejected", "reason": ""}, "Say why you reject the plan."),
        ({**FORM, "decision": "maybe"}, "Approve or reject the plan."),
        ({}, "Approve or reject the plan."),
    ],
)
async def test_an_incomplete_decision_is_asked_for_again(plan: str, form: dict[str, str], problem: str) -> None:
    async with reviewing(plan) as served:
        status, text = await served.post(form)
        assert (status, problem in text) == (400, True)
        assert not served.task.done()
        assert (await served.post(FORM))[0] == 200


def append_a_space(plan: str) -> None:
    with Path(plan).open("a", encoding="utf-8") as file:
        file.write(" ")


async def test_a_plan_that_changes_meanwhile_is_not_approved(plan: str) -> None:
    async with reviewing(plan) as served:
        append_a_space(plan)
        status, text = await served.post(FORM)
        assert (status, "was changed while you looked at it" in text) == (409, True)
        os.unlink(plan)  # noqa: PTH108 - a path is for another thread
        assert (await served.post(FORM))[0] == 409
    assert not approval_path(plan).exists()


async def test_an_approval_that_cannot_be_written_is_said_on_the_page(plan: str) -> None:
    approval_path(plan).mkdir()
    async with reviewing(plan) as served:
        status, text = await served.post(FORM)
        assert (status, "The decision cannot be written" in text) == (500, True)


async def test_an_earlier_decision_is_shown(plan: str) -> None:
    async with reviewing(plan) as served:
        await served.post({**FORM, "decision": "rejected", "reason": "<too many>"})
        assert (await served.task).decision == "rejected"
    async with reviewing(plan) as served, served.session.get(served.address) as answer:
        page = await answer.text()
        assert "This file was rejected by Ada Lovelace" in page
        assert "&lt;too many&gt;" in page
        approval_path(plan).write_text("{}")
    async with reviewing(plan) as served, served.session.get(served.address) as answer:
        assert "This file was" not in await answer.text()


def decide(plan: str, decision: str, *, reason: str = "seen") -> None:
    """Write a decision, as the review does."""

    async def decided() -> None:
        async with reviewing(plan) as served:
            assert (await served.post({"who": "Ada", "reason": reason, "decision": decision}))[0] == 200

    asyncio.run(decided())


def writes(served: Sandbox) -> int:
    return sum(entry.method != "GET" for entry in served.requests)


def test_an_approved_plan_is_applied(run: Run, served: Sandbox, plan: str) -> None:
    decide(plan, "approved")
    result = run("plan", "apply", plan, "--require-approval", "--yes", "--max-removals", "none")
    assert result.code == 0, result
    assert "plan.json was approved by Ada at " in result.err
    assert writes(served)


def test_a_plan_without_an_approval_is_refused(run: Run, served: Sandbox, plan: str) -> None:
    result = run("plan", "apply", plan, "--require-approval", "--yes")
    assert result.code == 3
    assert result.one_line().endswith(
        f"{plan} is not approved, so nothing was changed: approve it with: thrive plan review {plan}"
    )
    assert not writes(served)


def test_a_rejected_plan_is_refused_with_the_reason(run: Run, served: Sandbox, plan: str) -> None:
    decide(plan, "rejected", reason="Ada has not left")
    result = run("plan", "apply", plan, "--require-approval", "--yes")
    assert result.code == 3
    assert ": Ada has not left; nothing was changed" in result.one_line()
    assert not writes(served)


def _of_another_plan(plan: str) -> None:
    decide(plan, "approved")
    # Made again a moment later: the same changes, and yet another plan.
    content = json.loads(Path(plan).read_text())
    content["made_at"] = content["made_at"].replace("2", "1", 1)
    Path(plan).write_text(json.dumps(content))


def _edited(plan: str) -> None:
    decide(plan, "rejected")
    path = approval_path(plan)
    path.write_text(path.read_text().replace('"rejected"', '"approved"'))


def _no_approval(plan: str) -> None:
    approval_path(plan).write_text('{"kind": "something else", "sha256": ""}')


def _no_json(plan: str) -> None:
    approval_path(plan).write_text("approved!")


def _a_list(plan: str) -> None:
    approval_path(plan).write_text("[]")


def _a_folder(plan: str) -> None:
    approval_path(plan).mkdir()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_of_another_plan, "is about another plan, or "),
        (_edited, "was changed since it was written: decide again with: thrive plan review "),
        (_no_approval, "was changed since it was written"),
        (_no_json, "is not the approval of a plan"),
        (_a_list, "is not the approval of a plan"),
        (_a_folder, "cannot read "),
    ],
)
def test_an_approval_of_something_else_is_wrong_usage(
    run: Run, served: Sandbox, plan: str, spoil: Callable[[str], None], said: str
) -> None:
    spoil(plan)
    result = run("plan", "apply", plan, "--require-approval", "--yes")
    assert result.code == 2
    assert said in result.one_line()
    assert not writes(served)


def test_the_approval_is_only_needed_if_you_ask_for_it(run: Run, plan: str) -> None:
    decide(plan, "rejected")
    assert run("plan", "apply", plan, "--yes", "--max-removals", "none").code == 0


@pytest.mark.parametrize(("decision", "code"), [("approved", 0), ("rejected", 3)])
def test_the_command_ends_with_the_decision(
    plan: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], decision: str, code: int
) -> None:
    """The address is all that standard output holds, for a script that passes it on."""
    addresses: Queue[str] = Queue()
    monkeypatch.setattr("thrive_async.cli.plan.out", addresses.put)
    monkeypatch.setenv("THRIVE_OPERATOR", "Grace Hopper")
    shown: list[str] = []

    async def decided() -> None:
        address = addresses.get(timeout=30)
        origin = address.rsplit("/", 2)[0]
        async with aiohttp.ClientSession() as session:
            async with session.get(address) as answer:
                shown.append(await answer.text())
            form = {"who": "Grace", "reason": "seen", "decision": decision}
            async with session.post(f"{address}decision", data=form, headers={"Origin": origin}) as answer:
                assert answer.status == 200

    thread = threading.Thread(target=lambda: asyncio.run(decided()))
    thread.start()
    ended = main(["plan", "review", plan, "--names"])
    thread.join()
    assert ended == code
    assert 'value="Grace Hopper"' in shown[0]
    assert "new@example.com" in shown[0]
    assert f"was {decision} by Grace at " in capsys.readouterr().err


@pytest.mark.parametrize("file", ["missing.json", "people.csv"])
def test_a_file_that_is_no_plan_is_not_reviewed(run: Run, plan: str, file: str) -> None:
    result = run("plan", "review", str(Path(plan).with_name(file)))
    assert result.code == 2
    result.one_line()
