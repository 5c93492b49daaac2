"""The same small application in each framework: what it holds, answers and streams, over a real socket."""

import asyncio
import csv
import io
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from contrib.serving import COLUMNS, FRAMEWORKS, served, until
from thrive_async import ApiKey, Retry, ThriveClient
from thrive_async.sandbox import Sandbox

pytestmark = pytest.mark.usefixtures("clock")
every_framework = pytest.mark.parametrize("framework", FRAMEWORKS)
JSON = {"Content-Type": "application/json"}
WORDS = "Thrive's own words about user E00001"


@pytest.fixture
async def vast() -> AsyncIterator[Sandbox]:
    """More than fits into the buffers between Thrive and a browser: 200 pages of a person, 200 kB each."""
    async with Sandbox(users=200, seed=1) as sandbox:
        for user in sandbox.state.users.values():
            user["summary"] = "x" * 200_000
        yield sandbox


async def all_asked_of(sandbox: Sandbox) -> int:
    """Wait until no further requests arrive, and count them."""
    asked = -1
    while asked != len(sandbox.requests):
        asked = len(sandbox.requests)
        await asyncio.sleep(1)  # of the clock, which stands still as long as any socket has data
    return asked


def application(framework: str, sandbox: Sandbox, *routes: Any, grace: float = 10.0, **options: Any) -> Any:
    return FRAMEWORKS[framework].app(lambda: sandbox.client(**options), list(routes), grace)


@every_framework
async def test_a_handler_answers_with_the_client_of_the_application(
    framework: str, sandbox: Sandbox, browser: aiohttp.ClientSession
) -> None:
    async with served(application(framework, sandbox)) as url, browser.get(f"{url}/people/E00001") as answer:
        assert answer.status == 200
        assert (await answer.json())["ref"] == "E00001"


@every_framework
async def test_an_error_becomes_an_answer_without_a_word_of_thrives(
    framework: str, sandbox: Sandbox, browser: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    """`test_answers.py` has the whole table."""
    expected = {None: (404, None), 401: (502, None), 422: (400, None), 429: (429, "7"), 503: (503, "7")}
    for status, (answered, wait) in expected.items():
        async with served(application(framework, sandbox, retry=Retry(max_attempts=1))) as url:
            path = "/people/nobody"
            if status is not None:
                path, body = "/people/E00001", {"status": status, "error": "Oh no", "message": WORDS}
                sandbox.faults.add("status", operation="getUserByRef", status=status, body=body, retry_after=7)
            async with browser.get(url + path) as answer:
                text = await answer.text()
                assert (answer.status, answer.headers.get("Retry-After")) == (answered, wait)
                assert json.loads(text)["detail"]
            for word in ("own words", "Oh no", "E00001", "nobody"):
                assert word not in text
                assert word not in caplog.text


@every_framework
async def test_an_argument_that_makes_no_sense_is_a_422_and_names_it(
    framework: str, sandbox: Sandbox, browser: aiohttp.ClientSession
) -> None:
    async with served(application(framework, sandbox)) as url, browser.get(f"{url}/people.ndjson?per_page=0") as answer:
        assert answer.status == 422
        (problem,) = (await answer.json())["detail"]
        assert problem["loc"] == ["per_page"]
        assert "per_page" in problem["msg"]


@every_framework
async def test_a_body_keeps_null_apart_from_what_is_left_out_and_a_wrong_one_is_a_422(
    framework: str, sandbox: Sandbox, browser: aiohttp.ClientSession
) -> None:
    async with served(application(framework, sandbox)) as url:
        for body in (b'{"jobtitle": 1}', b'{"jobTitle": 5}', b"[]", b"{"):
            async with browser.patch(f"{url}/people/E00001", data=body, headers=JSON) as answer:
                assert answer.status == 422
                (problem,) = (await answer.json())["detail"]
            assert problem["loc"][0] == "body"
            assert not sandbox.requests
        async with browser.patch(f"{url}/people/E00001", json={"jobTitle": None}) as answer:
            assert (await answer.json())["ref"] == "E00001"
    assert [entry.body for entry in sandbox.requests] == [{"jobTitle": None}]


@every_framework
async def test_a_call_that_takes_longer_than_its_deadline_is_a_504(
    framework: str, sandbox: Sandbox, browser: aiohttp.ClientSession
) -> None:
    sandbox.faults.add("latency", operation="getUserByRef", seconds=3600)
    async with served(application(framework, sandbox)) as url, browser.get(f"{url}/people/E00001") as answer:
        assert (answer.status, "Retry-After" in answer.headers) == (504, False)


@every_framework
async def test_a_pause_that_is_longer_than_the_deadline_is_a_429_to_everyone(
    framework: str, sandbox: Sandbox, browser: aiohttp.ClientSession
) -> None:
    """To the call that Thrive answered so, and to those after it, which are not sent."""
    sandbox.faults.add("rate_limited", operation="getUserByRef", retry_after=60)
    async with served(application(framework, sandbox)) as url:
        for _ in range(3):
            async with browser.get(f"{url}/people/E00001") as answer:
                assert answer.status == 429
                assert 55 <= int(answer.headers["Retry-After"]) <= 60
    assert len(sandbox.requests) == 1


@every_framework
async def test_wrong_credentials_are_a_502_and_a_log_line(
    framework: str, sandbox: Sandbox, browser: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    app = application(framework, sandbox, credentials=ApiKey("not-the-key"))
    async with served(app) as url, browser.get(f"{url}/people/E00001") as answer:
        assert answer.status == 502
    assert "AuthenticationError operation=getUserByRef status=401" in caplog.text
    assert "not-the-key" not in caplog.text


# Streams


@every_framework
async def test_a_list_as_lines_says_at_its_end_that_it_was_whole(
    framework: str, sandbox: Sandbox, browser: aiohttp.ClientSession
) -> None:
    async with served(application(framework, sandbox)) as url, browser.get(f"{url}/people.ndjson") as answer:
        assert answer.content_type == "application/x-ndjson"
        *people, end = map(json.loads, (await answer.text()).splitlines())
    assert end == {"end": {"whole": True, "items": 60}}
    assert [person["id"] for person in people] == list(sandbox.state.users)


@every_framework
async def test_a_list_that_breaks_off_says_so_at_its_end(
    framework: str, sandbox: Sandbox, browser: aiohttp.ClientSession
) -> None:
    retry = Retry(max_attempts=1)
    sandbox.state.users[list(sandbox.state.users)[30]]["id"] = None  # the sandbox fails on the second page
    async with served(application(framework, sandbox, retry=retry)) as url:
        async with browser.get(f"{url}/people.ndjson") as answer:
            *people, end = map(json.loads, (await answer.text()).splitlines())
            assert answer.status == 200
        async with browser.get(f"{url}/people.csv") as answer:
            rows = list(csv.reader(io.StringIO(await answer.text())))
        sandbox.state.users[list(sandbox.state.users)[3]]["id"] = None
        async with browser.get(f"{url}/people.csv") as answer:
            assert answer.status == 502  # on the first page there is still an answer to give
    assert len(people) == 20
    assert end == {"end": {"whole": False, "items": 20, "detail": "Thrive failed"}}
    assert rows[-1] == ["# cut short after 20 rows: Thrive failed"]


@every_framework
async def test_a_csv_has_the_columns_asked_for_and_no_formula(
    framework: str, sandbox: Sandbox, browser: aiohttp.ClientSession
) -> None:
    sandbox.state.add_user(ref="=1+1", firstName="@SUM(A1)", email=None, rank={"currentLevel": -3})
    async with served(application(framework, sandbox)) as url, browser.get(f"{url}/people.csv") as answer:
        assert answer.content_type == "text/csv"
        assert answer.headers["Content-Disposition"] == 'attachment; filename="thrive.csv"'
        header, *rows, end = csv.reader(io.StringIO(await answer.text()))
    assert tuple(header) == COLUMNS
    assert rows[-1][1:] == ["'=1+1", "", "'@SUM(A1)", "-3"]
    assert end == ["# whole: 61 rows"]


@every_framework
async def test_a_browser_that_reads_slowly_slows_the_reading_of_thrive(
    framework: str, vast: Sandbox, browser: aiohttp.ClientSession
) -> None:
    """With nothing read by the browser, only what fits into buffers and read-ahead has been asked for."""
    vast.requests.clear()
    async with served(application(framework, vast)) as url:
        answer = await browser.get(f"{url}/people.ndjson?per_page=1")
        assert 0 < await all_asked_of(vast) < 150 < len(vast.state.users)
        answer.close()


# Browsers that leave


@every_framework
async def test_a_browser_that_leaves_cancels_its_call_and_no_other(
    framework: str, sandbox: Sandbox, browser: aiohttp.ClientSession
) -> None:
    held: list[ThriveClient] = []

    def made() -> ThriveClient:
        held.append(sandbox.client())
        return held[0]

    sandbox.faults.add("latency", operation="getUserByRef", times=None, seconds=3)
    async with served(FRAMEWORKS[framework].app(made, [])) as url:
        leaving = asyncio.create_task(browser.get(f"{url}/people/E00001"))
        staying = asyncio.create_task(browser.get(f"{url}/people/E00002"))
        await until(lambda: held and held[0].calls_under_way == 2)
        leaving.cancel()
        await until(lambda: held[0].calls_under_way == 1)
        async with await staying as answer:
            assert (await answer.json())["ref"] == "E00002"


@every_framework
async def test_a_browser_that_leaves_a_list_ends_its_reading(
    framework: str, vast: Sandbox, browser: aiohttp.ClientSession
) -> None:
    vast.requests.clear()
    async with served(application(framework, vast)) as url:
        answer = await browser.get(f"{url}/people.ndjson?per_page=1")
        await answer.content.readline()
        answer.close()
        assert 0 < await all_asked_of(vast) < 150 < len(vast.state.users)


# Readiness


@every_framework
async def test_ready_asks_thrive_once_in_ten_seconds(
    framework: str, sandbox: Sandbox, browser: aiohttp.ClientSession
) -> None:
    route = FRAMEWORKS[framework].module.ready_route("/ready")
    async with served(application(framework, sandbox, route)) as url:
        for _ in range(3):
            async with browser.get(f"{url}/ready") as answer:
                assert (answer.status, await answer.json()) == (200, {"ready": True, "detail": None})
    assert len(sandbox.requests) == 1


@every_framework
async def test_not_ready_without_thrive(framework: str, sandbox: Sandbox, browser: aiohttp.ClientSession) -> None:
    route = FRAMEWORKS[framework].module.ready_route("/ready")
    app = application(framework, sandbox, route, credentials=ApiKey("not-the-key"))
    async with served(app) as url, browser.get(f"{url}/ready") as answer:
        told = {"ready": False, "detail": "Thrive cannot be used at the moment"}
        assert (answer.status, await answer.json()) == (503, told)


# Syncs in the background


def events_in(text: str) -> list[tuple[str, dict[str, Any]]]:
    found = []
    for block in text.strip().split("\n\n"):
        name, data = block.split("\n")
        found.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found


@every_framework
async def test_a_sync_is_watched_to_its_report(
    framework: str, sandbox: Sandbox, browser: aiohttp.ClientSession
) -> None:
    newcomers = [sandbox.state.add_user()["ref"] for _ in range(250)]
    async with served(application(framework, sandbox)) as url:
        async with browser.post(f"{url}/syncs", json=newcomers) as answer:
            run = (await answer.json())["id"]
        async with browser.get(f"{url}/syncs/{run}") as answer:
            assert answer.content_type == "text/event-stream", await answer.text()
            events = events_in(await answer.text())
    assert events[-1][0] == "report"
    assert {name: events[-1][1][name] for name in ("ok", "added", "failed")} == {"ok": True, "added": 250, "failed": 0}
    assert all(name == "progress" and told["total"] == 250 for name, told in events[:-1])


@every_framework
async def test_leaving_a_watched_sync_does_not_stop_it(
    framework: str, sandbox: Sandbox, browser: aiohttp.ClientSession
) -> None:
    newcomers = [sandbox.state.add_user()["ref"] for _ in range(30)]
    sandbox.faults.add("latency", operation="addMembers", times=None, seconds=1)
    async with served(application(framework, sandbox)) as url:
        async with browser.post(f"{url}/syncs", json=newcomers) as answer:
            run = (await answer.json())["id"]
        (await browser.get(f"{url}/syncs/{run}")).close()
        async with browser.get(f"{url}/syncs/{run}") as answer:
            assert events_in(await answer.text())[-1][1]["added"] == 30


@every_framework
async def test_a_sync_that_is_refused_says_so_without_a_word_of_thrives(
    framework: str, sandbox: Sandbox, browser: aiohttp.ClientSession
) -> None:
    sandbox.faults.add("status", operation="getAudience", times=None, status=403, body={"message": WORDS})
    async with served(application(framework, sandbox)) as url:
        async with browser.post(f"{url}/syncs", json=["E00001"]) as answer:
            run = (await answer.json())["id"]
        async with browser.get(f"{url}/syncs/{run}") as answer:
            text = await answer.text()
    assert events_in(text)[-1] == ("error", {"status": 502, "detail": "Thrive cannot be used at the moment"})
    assert "words" not in text


@every_framework
async def test_a_run_that_this_process_does_not_know_is_a_404(
    framework: str, sandbox: Sandbox, browser: aiohttp.ClientSession
) -> None:
    async with served(application(framework, sandbox)) as url, browser.get(f"{url}/syncs/unknown") as answer:
        assert answer.status == 404


@every_framework
async def test_an_application_that_stops_cancels_its_syncs(
    framework: str, sandbox: Sandbox, browser: aiohttp.ClientSession
) -> None:
    newcomers = [sandbox.state.add_user()["ref"] for _ in range(30)]
    sandbox.faults.add("latency", operation="addMembers", times=None, seconds=3600)
    async with served(application(framework, sandbox, grace=0.5)) as url:
        async with browser.post(f"{url}/syncs", json=newcomers) as answer:
            assert (await answer.json())["id"]
        await until(lambda: sandbox.requests.of("addMembers"))
