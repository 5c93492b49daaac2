"""Pages, models and decode errors tell of the reply that they came with."""

import gc
import pickle

import pytest
from multidict import CIMultiDict
from raw_server import RawServer, reply

from thrive_async import DecodeError, IncompleteList, Limits, ReplyInfo, Retry, reply_of
from thrive_async._base.replies import _replies, request_id

QUICK = Retry(base_delay=0.01, max_delay=0.01, max_attempts=2)
USER = reply(200, {"id": "507f1f77bcf86cd799439011"}, X_Request_Id="r1", X_RateLimit_Remaining="7")


async def test_a_page_and_a_model_tell_of_their_reply() -> None:
    page_reply = reply(200, [{"id": "t1"}], X_Request_Id="r2")
    async with RawServer([reply(500), USER, page_reply]) as server, server.client(retry=QUICK) as thrive:
        user = await thrive.users.get("u1")
        page = await anext(thrive.tags.list().pages())
    told = reply_of(user)
    assert told is not None
    assert (told.status, told.request_id, told.attempts) == (200, "r1", 2)
    assert told.headers["x-ratelimit-remaining"] == "7"
    assert (page.reply.status, page.reply.request_id, page.reply.attempts) == (200, "r2", 1)
    assert reply_of(page.items[0]) is None
    assert reply_of(5) is None
    assert repr(told) == "ReplyInfo(status=200, request_id='r1', attempts=2)"


async def test_what_is_known_of_a_reply_goes_with_its_model() -> None:
    async with RawServer([USER]) as server, server.client() as thrive:
        user = await thrive.users.get("u1")
        assert isinstance(reply_of(user), ReplyInfo)
        known = len(_replies)
        del user
        gc.collect()
        assert len(_replies) < known


ODD = {
    "no JSON": reply(200, b"<html>", X_Request_Id="r3"),
    "not a user": reply(200, {"id": {}}, X_Request_Id="r3"),
    "too large": reply(200, b'"' + b"x" * 5000 + b'"', X_Request_Id="r3"),
}


@pytest.mark.parametrize("odd", ODD)
async def test_a_decode_error_tells_of_its_reply(odd: str) -> None:
    limits = Limits(max_reply_bytes=1000)
    async with RawServer([reply(503), ODD[odd]]) as server, server.client(retry=QUICK, limits=limits) as thrive:
        with pytest.raises(DecodeError) as raised:
            await thrive.users.get("u1")
    error = pickle.loads(pickle.dumps(raised.value))
    assert (error.status, error.request_id, error.attempts) == (200, "r3", 2)
    assert error.headers["X-REQUEST-ID"] == "r3"


async def test_a_list_that_cannot_be_read_or_ends_early_tells_of_its_page() -> None:
    short = {"pagination": {"totalResults": 9, "totalPages": 2, "page": 1, "perPage": 5}, "results": []}
    async with (
        RawServer([reply(200, {"results": 5}, X_Request_Id="r4"), reply(200, short, X_Request_Id="r5")]) as server,
        server.client() as thrive,
    ):
        for wanted, request_id in ((DecodeError, "r4"), (IncompleteList, "r5")):
            with pytest.raises(wanted) as raised:
                await thrive.users.list(per_page=5).collect()
            assert (raised.value.status, raised.value.request_id) == (200, request_id)


@pytest.mark.parametrize(
    ("headers", "identity"),
    [
        ({}, None),
        ({"X-Correlation-Id": "c"}, "c"),
        ({"X-Correlation-Id": "c", "X-Amzn-RequestId": "a"}, "a"),
        ({"X-Correlation-Id": "c", "X-Amzn-RequestId": "a", "X-Request-Id": "r"}, "r"),
        ({"X-Request-Id": "", "X-Amzn-RequestId": "a"}, "a"),
        ({"X-Request-Id": "r\x1b[31m\x9b-7"}, "r[31m-7"),
        ({"X-Request-Id": "r" * 500}, "r" * 200),
    ],
)
def test_the_first_of_three_headers_names_the_request_in_printable_characters(
    headers: dict[str, str], identity: str | None
) -> None:
    assert request_id(CIMultiDict(headers)) == identity
