"""From a request to its answer."""

import io
import logging
import socket

from hypothesis import given
from hypothesis import strategies as st

from sandbox.raw_api import Api, connect
from thrive_async.sandbox import Sandbox
from thrive_async.sandbox.server.engine import RateLimit

LEVELS = "/rest/v1/skills/levels"


async def test_serving_writes_no_log_lines(api, caplog):
    caplog.set_level(logging.DEBUG)
    await api("GET", "/rest/v1/users")
    await api("GET", "/nowhere?ref=secret")
    mine = [record for record in caplog.records if not record.name.startswith("asyncio")]
    assert mine == []


async def test_a_body_too_large_is_refused(api):
    answer = await api("POST", "/rest/v2/users", data=io.BytesIO(b"x" * (17 * 1024**2)))
    assert answer.status == 413


async def test_every_reply_has_a_request_id_of_its_own(api):
    seen = {(await api("GET", "/rest/v1/skills/levels")).headers["x-request-id"] for _ in range(3)}
    assert len(seen) == 3


async def test_a_failure_of_the_sandbox_itself_is_a_500_without_the_data(caplog):
    async with Sandbox(10) as sandbox, connect() as session:
        api = Api(sandbox, session)
        user = next(iter(sandbox.state.users.values()))
        user["firstName"] = {1, 2}
        answer = await api("GET", f"/rest/v1/user/{user['id']}")
        assert answer.status == 500
        assert "getUser" in sandbox.violations[0]
        assert user["id"] not in caplog.text
        assert "getUser" in caplog.text


async def test_a_raw_request_in_absolute_form_or_without_a_path_is_answered(api):
    for line in (b"GET * HTTP/1.1", b"OPTIONS * HTTP/1.1"):
        connection = socket.create_connection(("127.0.0.1", api.sandbox.port))
        connection.setblocking(False)
        loop = __import__("asyncio").get_running_loop()
        await loop.sock_sendall(connection, line + b"\r\nHost: x\r\nConnection: close\r\n\r\n")
        head = await loop.sock_recv(connection, 200)
        connection.close()
        assert b" 4" in head.split(b"\r\n")[0]


@given(
    rate=st.floats(0.1, 1000),
    burst=st.integers(1, 50),
    gaps=st.lists(st.floats(0, 5), max_size=60),
)
def test_a_rate_limit_is_never_exceeded_and_its_wait_is_enough(rate, burst, gaps):
    limit, now = RateLimit(rate, burst, 0.0), 0.0
    for passed, gap in enumerate(gaps, 1):
        now += gap
        wait = limit.take(now)
        if wait:
            now += wait
            assert limit.take(now) == 0.0
        assert passed <= burst + rate * now + 1e-3
