"""The contenders: thrive-async, what one would write by hand, and what one would pick instead.

Each can fetch a small thing, a page of users, a page of enrolments, and decode a page of users. All of them keep one
session open, as their makers advise, and send the same Authorization header.
"""

import asyncio
import base64
import json
from collections import deque
from collections.abc import Awaitable, Callable
from importlib.util import find_spec
from math import ceil
from typing import Any, Protocol

import aiohttp
import orjson

from benchmarks import data
from benchmarks.generated import OPC, OPENAPI_GENERATOR
from benchmarks.measure import Bench
from thrive_async import ApiKey, Limits, ThriveClient
from thrive_async._convert import read, read_list
from thrive_async.models import Audience, Enrolment, User

TENANT, SECRET = "eu-west-2_AbcdEfghI", "secret"
HEADERS = {"Authorization": "Basic " + base64.b64encode(f"{TENANT}:{SECRET}".encode()).decode()}
REFERENCE = data.AUDIENCE["reference"]
Page = tuple[list[Any], int | None]


class Contender(Protocol):
    """What the benchmarks ask of each."""

    name: str

    def decode(self, body: bytes) -> list[Any]:
        """A page of users out of its bytes."""
        ...

    async def small(self) -> Any:
        """One audience."""
        ...

    async def users_page(self, number: int, per_page: int) -> Page:
        """A page of users, and how many pages there are."""
        ...

    async def enrolments_page(self, number: int, per_page: int) -> list[Any]:
        """A page of enrolments."""
        ...

    async def close(self) -> None:
        """Close the session."""
        ...


class Hand:
    """Written by hand on aiohttp, with orjson and no models: the least that can be done."""

    name = "aiohttp + orjson by hand"

    def __init__(self, url: str, in_flight: int = 100) -> None:
        connector = aiohttp.TCPConnector(limit=in_flight)
        self.session = aiohttp.ClientSession(
            url, headers=HEADERS, connector=connector, cookie_jar=aiohttp.DummyCookieJar()
        )

    async def _get(self, path: str) -> Any:
        async with self.session.get(path) as response:
            response.raise_for_status()
            return orjson.loads(await response.read())

    def decode(self, body: bytes) -> list[Any]:
        results: list[Any] = orjson.loads(body)["results"]
        return results

    async def small(self) -> Any:
        return await self._get(f"/rest/v1/audiences/{REFERENCE}")

    async def users_page(self, number: int, per_page: int) -> Page:
        page = await self._get(f"/rest/v1/users?page={number}&perPage={per_page}")
        return page["results"], page["pagination"]["totalPages"]

    async def enrolments_page(self, number: int, per_page: int) -> list[Any]:
        page: list[Any] = await self._get(f"/rest/v1/assignments/a1/enrolments?page={number}&perPage={per_page}")
        return page

    async def close(self) -> None:
        await self.session.close()


class HandOurModels(Hand):
    """The same, with the models and readers of thrive-async."""

    name = "aiohttp by hand, our models"

    def decode(self, body: bytes) -> list[Any]:
        return read_list(User, orjson.loads(body)["results"])

    async def small(self) -> Any:
        return read(Audience, await super().small())

    async def users_page(self, number: int, per_page: int) -> Page:
        items, pages = await super().users_page(number, per_page)
        return read_list(User, items), pages

    async def enrolments_page(self, number: int, per_page: int) -> list[Any]:
        return read_list(Enrolment, await super().enrolments_page(number, per_page))


class HandPydantic(Hand):
    """The same, with models of pydantic's."""

    name = "aiohttp + pydantic by hand"

    def __init__(self, url: str) -> None:
        from benchmarks import pydantic_models as models

        super().__init__(url)
        self._models = models

    async def _bytes(self, path: str) -> bytes:
        async with self.session.get(path) as response:
            response.raise_for_status()
            return await response.read()

    def decode(self, body: bytes) -> list[Any]:
        return self._models.UserPage.model_validate_json(body).results

    async def small(self) -> Any:
        return self._models.Audience.model_validate_json(await self._bytes(f"/rest/v1/audiences/{REFERENCE}"))

    async def users_page(self, number: int, per_page: int) -> Page:
        body = await self._bytes(f"/rest/v1/users?page={number}&perPage={per_page}")
        page = self._models.UserPage.model_validate_json(body)
        return page.results, page.pagination.totalPages

    async def enrolments_page(self, number: int, per_page: int) -> list[Any]:
        body = await self._bytes(f"/rest/v1/assignments/a1/enrolments?page={number}&perPage={per_page}")
        return self._models.ENROLMENTS.validate_json(body)


class HttpxPydantic(HandPydantic):
    """httpx with models of pydantic's."""

    name = "httpx + pydantic"

    def __init__(self, url: str) -> None:
        import httpx

        from benchmarks import pydantic_models as models

        self._models = models
        limits = httpx.Limits(max_connections=100, max_keepalive_connections=100)
        self._client = httpx.AsyncClient(base_url=url, headers=HEADERS, limits=limits, timeout=60)

    async def _bytes(self, path: str) -> bytes:
        response = await self._client.get(path)
        response.raise_for_status()
        return response.content

    async def close(self) -> None:
        await self._client.aclose()


class Requests:
    """requests, without models; nothing can be in flight beside anything else."""

    name = "requests"

    def __init__(self, url: str) -> None:
        import requests

        self._url = url
        self._session = requests.Session()
        self._session.headers.update(HEADERS)

    def _get(self, path: str) -> Any:
        response = self._session.get(self._url + path, timeout=60)
        response.raise_for_status()
        return response.json()

    def decode(self, body: bytes) -> list[Any]:
        results: list[Any] = json.loads(body.decode())["results"]
        return results

    async def small(self) -> Any:
        return self._get(f"/rest/v1/audiences/{REFERENCE}")

    async def users_page(self, number: int, per_page: int) -> Page:
        page = self._get(f"/rest/v1/users?page={number}&perPage={per_page}")
        return page["results"], page["pagination"]["totalPages"]

    async def enrolments_page(self, number: int, per_page: int) -> list[Any]:
        page: list[Any] = self._get(f"/rest/v1/assignments/a1/enrolments?page={number}&perPage={per_page}")
        return page

    async def close(self) -> None:
        self._session.close()


class OpenapiPythonClient:
    """What openapi-python-client makes of the specification: httpx and attrs."""

    name = "openapi-python-client"

    def __init__(self, url: str) -> None:
        from importlib import import_module

        package = import_module(OPC)
        self._client = package.Client(base_url=url, headers=HEADERS, timeout=None)
        self._page = import_module(f"{OPC}.models.user_page").UserPage
        self._users = import_module(f"{OPC}.api.users.search_users").asyncio
        self._audience = import_module(f"{OPC}.api.audiences.get_audience").asyncio
        self._enrolments = import_module(f"{OPC}.api.enrolments.list_enrolments").asyncio

    def decode(self, body: bytes) -> list[Any]:
        results: list[Any] = self._page.from_dict(json.loads(body)).results
        return results

    async def small(self) -> Any:
        return await self._audience(audience_id=REFERENCE, client=self._client)

    async def users_page(self, number: int, per_page: int) -> Page:
        page = await self._users(client=self._client, page=number, per_page=per_page)
        return page.results, page.pagination.total_pages

    async def enrolments_page(self, number: int, per_page: int) -> list[Any]:
        page: list[Any] = await self._enrolments("a1", client=self._client, page=number, per_page=per_page)
        return page

    async def close(self) -> None:
        await self._client.get_async_httpx_client().aclose()


class OpenapiGenerator:
    """What openapi-generator makes of the specification (python, asyncio): aiohttp and pydantic."""

    name = "openapi-generator"

    def __init__(self, url: str) -> None:
        from importlib import import_module

        package = import_module(OPENAPI_GENERATOR)
        settings = package.Configuration(host=url, username=TENANT, password=SECRET)
        settings.connection_pool_maxsize = 100
        self._client = package.ApiClient(settings)
        self._page = import_module(f"{OPENAPI_GENERATOR}.models.user_page").UserPage
        self._users = package.UsersApi(self._client)
        self._audiences = package.AudiencesApi(self._client)
        self._enrolments = package.EnrolmentsApi(self._client)

    def decode(self, body: bytes) -> list[Any]:
        results: list[Any] = self._page.from_json(body.decode()).results
        return results

    async def small(self) -> Any:
        return await self._audiences.get_audience(REFERENCE)

    async def users_page(self, number: int, per_page: int) -> Page:
        page = await self._users.search_users(page=number, per_page=per_page)
        return page.results, page.pagination.total_pages

    async def enrolments_page(self, number: int, per_page: int) -> list[Any]:
        page: list[Any] = await self._enrolments.list_enrolments("a1", page=number, per_page=per_page)
        return page

    async def close(self) -> None:
        await self._client.close()


def others(bench: Bench) -> list[Callable[[str], Any]]:
    """What a user would pick instead, as far as it is installed; a note says what is not."""
    if not bench.contenders:
        return []
    made: list[Callable[[str], Any]] = []
    for cls, needs in ((HttpxPydantic, ("httpx", "pydantic")), (Requests, ("requests",))):
        if all(find_spec(name) is not None for name in needs):
            made.append(cls)
        else:
            bench.note(f"{' or '.join(needs)} is not installed: left out")
    generated = bench.generated.names
    made += [OpenapiPythonClient] if OPC in generated else []
    made += [OpenapiGenerator] if OPENAPI_GENERATOR in generated else []
    return made


def with_pydantic(bench: Bench) -> bool:
    """Whether pydantic can be measured."""
    if find_spec("pydantic") is None:
        bench.note("pydantic is not installed: left out")
        return False
    return True


async def opened(make: Callable[[str], Any], url: str) -> Any:
    """Make a contender on the running loop, where sessions want to be made."""
    return make(url)


def thrive(url: str, **limits: Any) -> ThriveClient:
    """A client of ours on the raw server."""
    return ThriveClient(TENANT, ApiKey(SECRET), base_url=url, limits=Limits(**limits) if limits else None)


async def walk_users(contender: Contender, per_page: int = data.USERS_PER_PAGE) -> int:
    """All users, page after page; the count."""
    seen, number, pages = 0, 0, 1
    while number < pages:
        number += 1
        items, total = await contender.users_page(number, per_page)
        pages = total or 1
        for _user in items:
            seen += 1
    return seen


async def walk_enrolments(contender: Contender, per_page: int = data.ENROLMENTS_PER_PAGE) -> int:
    """All enrolments, page after page until one is short; the count."""
    seen, number = 0, 0
    while True:
        number += 1
        items = await contender.enrolments_page(number, per_page)
        for _enrolment in items:
            seen += 1
        if len(items) < per_page:
            return seen


async def best_walk_users(hand: Hand, per_page: int = data.USERS_PER_PAGE, ahead: int = 4) -> int:
    """All users with so many pages in flight and no models: the best that a hand can write."""
    items, pages = await hand.users_page(1, per_page)
    assert pages is not None
    seen = 0
    in_flight: deque[asyncio.Task[Page]] = deque()
    asked = 1
    while True:
        while asked < pages and len(in_flight) < ahead:
            asked += 1
            in_flight.append(asyncio.create_task(hand.users_page(asked, per_page)))
        for _user in items:
            seen += 1
        if not in_flight:
            return seen
        items, _ = await in_flight.popleft()


async def crew(work: Callable[[], Awaitable[object]], calls: int, in_flight: int) -> None:
    """So many calls by so many workers."""

    async def worker() -> None:
        for _ in range(calls // in_flight):
            await work()

    await asyncio.gather(*(worker() for _ in range(in_flight)))


def pages_of(total: int, per_page: int) -> int:
    """How many pages a list has."""
    return ceil(total / per_page)
