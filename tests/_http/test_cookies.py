"""Cookies: a session that serves several clients carries none of one tenant's to another."""

import aiohttp
from raw_server import RawServer, reply

SET = reply(200, [], Set_Cookie="tenant=one; Path=/")


async def test_no_cookie_is_kept_or_sent_on_a_session_of_the_user() -> None:
    jar = aiohttp.CookieJar(unsafe=True)
    async with RawServer([SET]) as server, aiohttp.ClientSession(cookie_jar=jar) as session:
        one = server.client(session=session)
        two = server.client(session=session, tenant_id="other")
        for thrive in (one, two, one):
            await thrive.skills.levels()
        assert [request.headers.get("cookie") for request in server.requests] == [None] * 3
        assert len(jar) == 0


async def test_cookies_of_other_requests_on_the_session_stay_where_they_are() -> None:
    jar = aiohttp.CookieJar(unsafe=True)
    async with RawServer([SET]) as server, aiohttp.ClientSession(cookie_jar=jar) as session:
        await (await session.get(server.base_url)).read()
        await server.client(session=session).skills.levels()
        await (await session.get(server.base_url)).read()
    assert [request.headers.get("cookie") for request in server.requests] == [None, None, "tenant=one"]
