"""A planted secret and a planted person are looked for wherever text comes out of the SDK.

Neither is in a log record of any library, its arguments included, nor in the repr of an object of the SDK. The text of
an error, of its causes, contexts and groups holds no secret, no e-mail address and no value that the request carried.
The local variables of the frames of its traceback hold no secret; those of the test, which planted it, do not count.
"""

import asyncio
import base64
import gc
import logging
import pickle
import traceback
from collections.abc import Awaitable, Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import aiohttp
import pytest
from raw_server import Handler, RawRequest, RawServer, close, hang, refused_port, reply, reset, then_close

from thrive_async import (
    ApiKey,
    ClientCredentials,
    ConfigurationError,
    Limits,
    Retry,
    ThriveClient,
    ThriveError,
    Timeouts,
)
from thrive_async import models as m
from thrive_async.sandbox import VirtualClock

TENANT = "eu-west-2_Planted"
KEY = "planted-key-4f1c"
CLIENT_ID = "planted-client"
SECRET = "planted-secret+/&9a"
TOKEN = "planted.token-77"
FIRST, LAST = "Plantagenet", 'O\'Plant "Quote"'
MAIL = "planted.person+x@example.org"
REF = "PLANT/77 é"
USER = {"id": MAIL, "ref": REF, "firstName": FIRST, "lastName": LAST, "email": MAIL, "summary": FIRST}
WHEN = datetime(2026, 1, 1, tzinfo=UTC)

SECRETS = {
    text
    for value in (KEY, SECRET, TOKEN)
    for text in (value, quote(value, safe=""), quote_plus(value), base64.b64encode(value.encode()).decode())
} | {
    base64.b64encode(f"{TENANT}:{KEY}".encode()).decode(),
    base64.b64encode(f"{quote_plus(CLIENT_ID)}:{quote_plus(SECRET)}".encode()).decode(),
}
PLANTED = {
    *SECRETS,
    "O'Plant",
    *(text for value in (FIRST, LAST, MAIL, REF, "planted.person") for text in (value, quote(value, safe=""))),
}


def look(text: str, where: str, planted: Iterable[str] = PLANTED) -> None:
    found = [one for one in planted if one in text]
    assert not found, f"{found[0]!r} shows in {where}: {text[:2000]}"


def look_at_error(error: BaseException, carried: Iterable[str] = ()) -> None:
    """In its text no secret, no address and nothing that the request carried; in frames no secret."""
    hidden = {*SECRETS, MAIL, *(text for value in carried for text in (value, quote(value, safe="")))}
    seen: set[int] = set()

    def walk(told: traceback.TracebackException | None) -> None:
        if told is None or id(told) in seen:
            return
        seen.add(id(told))
        look("".join(told.format_exception_only()), "the text of an error", hidden)
        for frame in told.stack:
            if Path(frame.filename) == Path(__file__):
                continue
            for name, value in (frame.locals or {}).items():
                look(value, f"{name} of {frame.name} in {frame.filename}:{frame.lineno}", SECRETS)
        for other in (told.__cause__, told.__context__, *(told.exceptions or ())):
            walk(other)

    walk(traceback.TracebackException.from_exception(error, capture_locals=True, compact=False))
    look(repr(error), "the repr of an error", hidden)
    look(" ".join(getattr(error, "__notes__", [])), "the notes of an error", hidden)


def look_at_objects() -> None:
    """Look at the reprs of whatever of the SDK is alive."""
    for one in gc.get_objects():
        module = getattr(type(one), "__module__", "")
        if isinstance(module, str) and module.startswith("thrive_async") and ".sandbox" not in module:
            # An error holds Thrive's words, which `look_at_error` looks at.
            look(repr(one), f"the repr of {type(one)!r}", SECRETS if isinstance(one, BaseException) else PLANTED)


@pytest.fixture
def logs() -> "Iterator[list[logging.LogRecord]]":
    records: list[logging.LogRecord] = []

    class Keeper(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record)

    keeper, root = Keeper(0), logging.getLogger()
    level = root.level
    root.addHandler(keeper)
    root.setLevel(0)
    yield records
    root.removeHandler(keeper)
    root.setLevel(level)
    for record in records:
        if record.name.startswith("thrive_async.sandbox"):
            continue
        look(record.getMessage(), f"a log line of {record.name}")
        look(repr(record.args), f"the arguments of a log line of {record.name}")
        look(repr(vars(record)), f"a log record of {record.name}")


CALLS: dict[str, Callable[[ThriveClient], Awaitable[Any]]] = {
    "path": lambda t: t.users.get_by_ref(REF),
    "two in a path": lambda t: t.audiences.members.remove(REF, MAIL),
    "body": lambda t: t.users.create(m.UserCreate(ref=REF, first_name=FIRST, last_name=LAST, email=MAIL)),
    "path and body": lambda t: t.users.update(REF, m.UserUpdate(first_name=FIRST, job_title=None)),
    "list in a body": lambda t: t.audiences.members.add(REF, [MAIL, REF]),
    "query": lambda t: t.completions.list(user_id=MAIL).collect(),
    "list in a query": lambda t: t.cpd.user_summaries.list(
        entry_date_from=WHEN, entry_date_to=WHEN, user_ids=[MAIL, REF]
    ).first(),
    "list": lambda t: t.users.list().collect(),
    "walk": lambda t: walk(t),  # noqa: PLW0108
    "move": lambda t: t.audiences.update(REF, m.AudienceUpdate(name=FIRST)),
    "by hand": lambda t: t.request(
        "PATCH", f"/rest/v1/users/ref/{quote(REF, safe='')}", params={"q": MAIL}, json={"x": [FIRST, {"y": LAST}]}
    ),
    "in a group": lambda t: in_a_group(t),  # noqa: PLW0108
}


async def walk(thrive: ThriveClient) -> None:
    async for _member in thrive.audiences.members.list(REF, per_page=1):
        pass


async def in_a_group(thrive: ThriveClient) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(thrive.users.get_by_ref(REF))
        group.create_task(thrive.users.get(MAIL))


WORDS = f"User {FIRST} {LAST} <{MAIL}> ({REF}) at /users/ref/{quote(REF, safe='')} does not fit"


def told(words: str) -> dict[str, bytes | Handler]:
    return {
        "404": reply(404, {"status": 404, "error": "Not Found", "message": words}),
        "422 with an object": reply(422, {"error": "Unprocessable", "message": {"users": [words, {words: 1}]}}),
        "400 in other words": reply(400, {"code": "X", "detail": words}),
        "409 as text": reply(409, words.encode()),
        "error in words": reply(403, {"error": words}),
        "502 as a page": reply(502, f"<html>{words}</html>".encode(), Content_Type="text/html"),
        "429": reply(429, {"message": words}, Retry_After="500"),
        "302": reply(302, b"", Location=f"https://example.org/{quote(REF, safe='')}"),
        "200 of no shape": reply(200, [[USER]]),
        "200 of a wrong shape": reply(200, {**USER, "results": [USER, {**USER, "id": 5, "positions": MAIL}]}),
        "200 of wrong dates": reply(200, {"results": [{**USER, "createdAt": MAIL}], **USER, "createdAt": MAIL}),
        "200 of wrong totals": reply(200, {**USER, "id": None, "results": [USER], "pagination": {"totalPages": MAIL}}),
        "200 cut": then_close(reply(200, USER, length=9999)),
        "200 as text": reply(200, words.encode()),
        "closed": close,
        "reset": reset,
        "no HTTP": then_close(f"220 {MAIL}\r\n\r\n".encode()),
        "no answer": hang,
    }


@pytest.mark.parametrize("what", told(WORDS))
async def test_no_refusal_and_no_failure_shows_a_secret_or_a_person(
    what: str, clock: VirtualClock, logs: list[logging.LogRecord]
) -> None:
    for name, call in CALLS.items():
        await _fail(told(WORDS)[what], call, objects=name == "path and body")


@pytest.mark.parametrize("what", ["404", "422 with an object", "200 of a wrong shape", "no answer"])
async def test_with_a_token_it_is_the_same(what: str, clock: VirtualClock, logs: list[logging.LogRecord]) -> None:
    token = reply(200, {"access_token": TOKEN, "expires_in": 3600})
    for name in ("path", "body", "by hand"):
        await _fail(
            told(WORDS)[what], CALLS[name], before=token, objects=True, credentials=ClientCredentials(CLIENT_ID, SECRET)
        )


def carried(server: RawServer) -> list[str]:
    return [
        value
        for value in (FIRST, LAST, REF)
        if any(quote(value, safe="") in one.target or value.encode() in one.body for one in server.requests)
    ]


async def _fail(
    answer: bytes | Handler,
    call: Callable[[ThriveClient], Awaitable[Any]],
    *,
    before: bytes | None = None,
    objects: bool = False,
    **settings: Any,
) -> None:
    given: dict[str, Any] = {
        "credentials": ApiKey(KEY),
        "timeouts": Timeouts(attempt=5, total=20),
        "retry": Retry(max_attempts=2),
        "tenant_id": TENANT,
        **settings,
    }
    answers = [answer] if before is None else [before, answer]
    async with RawServer(list(answers)) as server, server.client(**given) as thrive:
        failures: tuple[BaseException, ...] = ()
        try:
            await call(thrive)
        except* ThriveError as group:
            failures = (*group.exceptions, group)
        for error in failures:
            look_at_error(error, () if len(failures) > 2 else carried(server))
            copied = pickle.loads(pickle.dumps(error))
            assert str(copied) == str(error)
        if objects:
            look_at_objects()


@pytest.mark.parametrize("moment", ["answer", "body", "slot", "pause", "token"])
async def test_a_timeout_of_the_callers_shows_nothing_either(
    moment: str, clock: VirtualClock, logs: list[logging.LogRecord]
) -> None:
    """The cancellation goes through every frame of the SDK and of aiohttp, headers and URLs in hand."""

    async def half(_request: RawRequest, writer: asyncio.StreamWriter) -> None:
        writer.write(reply(200, {"firstName": FIRST}, length=9999))
        await asyncio.Event().wait()

    answers: dict[str, list[bytes | Handler]] = {
        "answer": [hang],
        "body": [half],
        "slot": [hang],
        "pause": [reply(503, {"message": WORDS}, Retry_After="60")],
        "token": [hang],
    }
    settings: dict[str, Any] = {"credentials": ApiKey(KEY), "tenant_id": TENANT}
    if moment == "token":
        settings["credentials"] = ClientCredentials(CLIENT_ID, SECRET, client_auth="post")
    if moment == "slot":
        settings["limits"] = Limits(concurrency=1)
    for call in CALLS.values():
        async with RawServer(answers[moment]) as server, server.client(**settings) as thrive:
            other = asyncio.ensure_future(thrive.users.get(REF)) if moment == "slot" else None
            await asyncio.sleep(0.1)
            with pytest.raises(TimeoutError) as raised:
                async with asyncio.timeout(5):
                    await call(thrive)
            look_at_error(raised.value)
            assert raised.value.__cause__ is not None
            if other is not None:
                other.cancel()
                results = await asyncio.gather(other, return_exceptions=True)
                look_at_error(results[0])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "answer",
    [
        reply(401, {"error": "invalid_client", "error_description": f"{CLIENT_ID} with {SECRET} is unknown"}),
        reply(400, {"error": f"bad secret {SECRET}", "message": {"client_secret": SECRET, SECRET: quote_plus(SECRET)}}),
        reply(401, f"grant_type=client_credentials&client_secret={quote_plus(SECRET)}".encode()),
        reply(200, {"access_token": {"value": TOKEN}}),
        reply(200, {"access_token": f"{TOKEN}\n{TOKEN}", "expires_in": 5}),
        reply(200, [TOKEN]),
        reply(200, f'{{"access_token": "{TOKEN}'.encode()),
        then_close(reply(200, {"access_token": TOKEN}, length=999)),
        close,
        hang,
    ],
)
async def test_the_token_endpoint_may_say_what_it_likes(
    answer: bytes | Handler, clock: VirtualClock, logs: list[logging.LogRecord]
) -> None:
    for style in ("basic", "post", "auto"):
        credentials = ClientCredentials(CLIENT_ID, SECRET, client_auth=style)  # type: ignore[arg-type]
        await _fail(answer, CALLS["path"], objects=True, credentials=credentials)
        await _fail(answer, CALLS["walk"], credentials=credentials)


async def test_a_token_in_a_reply_that_cannot_be_read_is_not_kept_on_the_error(clock: VirtualClock) -> None:
    credentials = ClientCredentials(CLIENT_ID, SECRET)
    for body in ({"token": TOKEN}, f'{{"access_token": "{TOKEN}'.encode()):
        async with RawServer([reply(200, body)]) as server, server.client(credentials=credentials) as thrive:
            with pytest.raises(ThriveError) as raised:
                await thrive.skills.levels()
            assert TOKEN.encode() not in pickle.dumps(raised.value)


async def test_what_cannot_connect_shows_nothing(clock: VirtualClock, logs: list[logging.LogRecord]) -> None:
    for call in CALLS.values():
        await _fail(hang, call, base_url=f"http://127.0.0.1:{refused_port()}")
        await _fail(hang, call, proxy=f"http://{quote(MAIL)}:{quote(SECRET, safe='')}@127.0.0.1:{refused_port()}")


async def test_success_is_not_talkative_either(clock: VirtualClock, logs: list[logging.LogRecord]) -> None:
    page = {"results": [USER], "pagination": {"totalPages": 1, "totalResults": 1}}
    async with RawServer([reply(200, USER), reply(200, page)]) as server:
        thrive = server.client(credentials=ApiKey(KEY), tenant_id=TENANT)
        one = await thrive.users.get_by_ref(REF)
        assert one.first_name == FIRST
        pages = [page async for page in thrive.users.list().pages()]
        assert pages[0].raw == [USER]
        look_at_objects()
        await thrive.aclose()


def test_settings_that_cannot_work_show_no_secret() -> None:
    env = {"THRIVE_TENANT_ID": TENANT, "THRIVE_API_KEY": KEY, "THRIVE_CLIENT_SECRET": SECRET, "OTHER": TOKEN}
    attempts: list[Callable[[], object]] = [
        lambda: ThriveClient.from_env(env),
        lambda: ThriveClient.from_env(env | {"THRIVE_CLIENT_SECRET": "", "THRIVE_REGION": "mars"}),
        lambda: ThriveClient.from_env(env | {"THRIVE_CLIENT_SECRET": "", "THRIVE_BASE_URL": "mars"}),
        lambda: ThriveClient(TENANT, ApiKey(KEY), proxy=f"socks5://me:{quote(SECRET)}@proxy:1"),
        lambda: ThriveClient(TENANT, ApiKey(KEY), proxy=f"http://me:{quote(SECRET)}@proxy:1", region="mars"),
        lambda: ThriveClient("a/b", ClientCredentials(CLIENT_ID, SECRET)),
        lambda: ThriveClient(TENANT, ClientCredentials(CLIENT_ID, SECRET), base_url="ftp://x"),
    ]
    for attempt in attempts:
        with pytest.raises(ConfigurationError) as raised:
            attempt()
        look_at_error(raised.value)


async def test_debug_mode_shows_no_result_of_a_slow_step(clock: VirtualClock, logs: list[logging.LogRecord]) -> None:
    """Asyncio's debug log prints tasks, their coroutines and their results."""
    loop = asyncio.get_running_loop()
    loop.set_debug(True)
    loop.slow_callback_duration = 0
    try:
        async with RawServer([reply(200, USER)]) as server:
            thrive = server.client(credentials=ApiKey(KEY), tenant_id=TENANT)
            tasks = [asyncio.ensure_future(thrive.users.get_by_ref(REF)) for _ in range(3)]
            await asyncio.gather(*tasks)
            look(repr(tasks), "the repr of a task")
            await thrive.aclose()
    finally:
        loop.set_debug(False)
    logs[:] = [record for record in logs if "RawServer" not in record.getMessage()]


async def test_a_users_own_middlewares_see_no_credentials_in_their_frames(clock: VirtualClock) -> None:
    async def fail(request: aiohttp.ClientRequest, handler: Any) -> aiohttp.ClientResponse:
        response: aiohttp.ClientResponse = await handler(request)
        raise aiohttp.ClientPayloadError(str(response.url))

    async with aiohttp.ClientSession(middlewares=[fail]) as session:
        await _fail(reply(200, USER), CALLS["path"], session=session)
