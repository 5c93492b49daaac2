"""The contenders: thrive-async, code you could write by hand, and libraries you could choose instead.

Each can fetch one audience, walk all users and all enrolments, and decode a page of users. All keep one session open,
as their authors advise, and send the same Authorization header. A contender imports what it needs when it is created,
so that its process (see `worker`) holds nothing else.
"""

import asyncio
import base64
import json
from collections import deque
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import orjson

from benchmarks import data

OPC = "thrive_by_opc"
OPENAPI_GENERATOR = "thrive_by_openapi_generator"
TENANT, SECRET = "eu-west-2_AbcdEfghI", "secret"
HEADERS = {"Authorization": "Basic " + base64.b64encode(f"{TENANT}:{SECRET}".encode()).decode()}
REFERENCE = str(data.AUDIENCE["reference"])
SMALL = f"/rest/v1/audiences/{REFERENCE}"
Page = tuple[list[Any], int]


class Contender:
    """What a contender must be able to do. By default it walks a list page after page."""

    name = ""
    needs: tuple[str, ...] = ()
    blocking = False

    def __init__(self, url: str) -> None:
        self.url = url

    def decode(self, body: bytes) -> Any:
        """Decode a page of users."""
        raise NotImplementedError

    async def small(self) -> Any:
        """Fetch one audience."""
        raise NotImplementedError

    async def levels(self) -> Any:
        """Fetch the skill levels: a list without pages."""
        raise NotImplementedError

    async def users_page(self, number: int, per_page: int) -> Page:
        """Fetch a page of users; return it and the number of pages."""
        raise NotImplementedError

    async def enrolments_page(self, number: int, per_page: int) -> list[Any]:
        """Fetch a page of enrolments."""
        raise NotImplementedError

    async def users(self) -> int:
        """Walk all users and return how many there are."""
        seen, number, pages = 0, 0, 1
        while number < pages:
            number += 1
            items, pages = await self.users_page(number, data.USERS_PER_PAGE)
            for _user in items:
                seen += 1
        return seen

    async def enrolments(self) -> int:
        """Walk all enrolments until a page is short, and return how many there are."""
        seen, number, last = 0, 0, False
        while not last:
            number += 1
            items = await self.enrolments_page(number, data.ENROLMENTS_PER_PAGE)
            last = len(items) < data.ENROLMENTS_PER_PAGE
            for _enrolment in items:
                seen += 1
        return seen

    async def close(self) -> None:
        """Close the session."""


class Ours(Contender):
    """This package with default settings, and as many connections as 100 calls in flight need."""

    name = "thrive-async"

    def __init__(self, url: str) -> None:
        super().__init__(url)
        from thrive_async import ApiKey, Limits, ThriveClient
        from thrive_async._wire.convert import page_decoder, read_list
        from thrive_async.models import User

        decoded = page_decoder(User)
        self._read = lambda body: read_list(User, decoded(body)["results"])
        self._client = ThriveClient(TENANT, ApiKey(SECRET), base_url=url)
        self._wide = ThriveClient(TENANT, ApiKey(SECRET), base_url=url, limits=Limits(concurrency=100))

    def decode(self, body: bytes) -> Any:
        return self._read(body)

    async def small(self) -> Any:
        return await self._wide.audiences.get(REFERENCE)

    async def levels(self) -> Any:
        return await self._wide.skills.levels()

    async def users(self) -> int:
        seen = 0
        async for _user in self._client.users.list():
            seen += 1
        return seen

    async def enrolments(self) -> int:
        seen = 0
        async for _enrolment in self._client.assignments.enrolments.list("a1"):
            seen += 1
        return seen

    async def close(self) -> None:
        await self._client.aclose()
        await self._wide.aclose()


class Hand(Contender):
    """By hand with aiohttp and orjson, without models: the least that can be done, with four pages in flight."""

    name = "by hand: aiohttp, orjson, no models"
    ahead = 4

    def __init__(self, url: str) -> None:
        super().__init__(url)
        import aiohttp

        self.session = aiohttp.ClientSession(
            url, headers=HEADERS, connector=aiohttp.TCPConnector(limit=100), cookie_jar=aiohttp.DummyCookieJar()
        )

    async def body(self, path: str) -> bytes:
        """Read the body of a reply."""
        async with self.session.get(path) as response:
            response.raise_for_status()
            return await response.read()

    def decode(self, body: bytes) -> Any:
        return orjson.loads(body)

    async def small(self) -> Any:
        return orjson.loads(await self.body(SMALL))

    async def levels(self) -> Any:
        return orjson.loads(await self.body("/rest/v1/skills/levels"))

    async def users_page(self, number: int, per_page: int) -> Page:
        page = orjson.loads(await self.body(f"/rest/v1/users?page={number}&perPage={per_page}"))
        return page["results"], page["pagination"]["totalPages"]

    async def enrolments_page(self, number: int, per_page: int) -> list[Any]:
        page: list[Any] = orjson.loads(
            await self.body(f"/rest/v1/assignments/a1/enrolments?page={number}&perPage={per_page}")
        )
        return page

    async def users(self) -> int:
        items, pages = await self.users_page(1, data.USERS_PER_PAGE)
        seen, asked = 0, 1
        in_flight: deque[asyncio.Task[Page]] = deque()
        while True:
            while asked < pages and len(in_flight) < self.ahead:
                asked += 1
                in_flight.append(asyncio.create_task(self.users_page(asked, data.USERS_PER_PAGE)))
            for _user in items:
                seen += 1
            if not in_flight:
                return seen
            items, _ = await in_flight.popleft()

    async def close(self) -> None:
        await self.session.close()


class HandOurModels(Hand):
    """By hand, page after page, with the models and readers of thrive-async."""

    name = "by hand: aiohttp, our models, sequential"
    users = Contender.users

    def __init__(self, url: str) -> None:
        super().__init__(url)
        from thrive_async._wire.convert import read, read_list
        from thrive_async.models import Audience, Enrolment, User

        self._read_small = lambda value: read(Audience, value)
        self._read_users = lambda values: read_list(User, values)
        self._read_enrolments = lambda values: read_list(Enrolment, values)

    def decode(self, body: bytes) -> Any:
        return self._read_users(orjson.loads(body)["results"])

    async def small(self) -> Any:
        return self._read_small(await super().small())

    async def users_page(self, number: int, per_page: int) -> Page:
        items, pages = await super().users_page(number, per_page)
        return self._read_users(items), pages

    async def enrolments_page(self, number: int, per_page: int) -> list[Any]:
        return self._read_enrolments(await super().enrolments_page(number, per_page))


class HandPydantic(Hand):
    """By hand, page after page, with pydantic models."""

    name = "by hand: aiohttp, pydantic, sequential"
    needs = ("pydantic",)
    users = Contender.users

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.models: Any = import_module("benchmarks.pydantic_models")

    def decode(self, body: bytes) -> Any:
        return self.models.UserPage.model_validate_json(body)

    async def small(self) -> Any:
        return self.models.Audience.model_validate_json(await self.body(SMALL))

    async def users_page(self, number: int, per_page: int) -> Page:
        body = await self.body(f"/rest/v1/users?page={number}&perPage={per_page}")
        page = self.models.UserPage.model_validate_json(body)
        return page.results, page.pagination.totalPages

    async def enrolments_page(self, number: int, per_page: int) -> list[Any]:
        body = await self.body(f"/rest/v1/assignments/a1/enrolments?page={number}&perPage={per_page}")
        page: list[Any] = self.models.ENROLMENTS.validate_json(body)
        return page


class HttpxPydantic(HandPydantic):
    """httpx with pydantic models."""

    name = "httpx + pydantic"
    needs = ("httpx", "pydantic")

    def __init__(self, url: str) -> None:
        Contender.__init__(self, url)
        import httpx

        self.models = import_module("benchmarks.pydantic_models")
        limits = httpx.Limits(max_connections=100, max_keepalive_connections=100)
        self._client = httpx.AsyncClient(base_url=url, headers=HEADERS, limits=limits, timeout=60)

    async def body(self, path: str) -> bytes:
        response = await self._client.get(path)
        response.raise_for_status()
        return response.content

    async def close(self) -> None:
        await self._client.aclose()


class Requests(Contender):
    """requests, without models; one call at a time."""

    name = "requests (no models)"
    needs = ("requests",)
    blocking = True

    def __init__(self, url: str) -> None:
        super().__init__(url)
        import requests

        self._session = requests.Session()
        self._session.headers.update(HEADERS)

    def _get(self, path: str) -> Any:
        response = self._session.get(self.url + path, timeout=60)
        response.raise_for_status()
        return response.json()

    def decode(self, body: bytes) -> Any:
        return json.loads(body.decode())

    async def small(self) -> Any:
        return self._get(SMALL)

    async def users_page(self, number: int, per_page: int) -> Page:
        page = self._get(f"/rest/v1/users?page={number}&perPage={per_page}")
        return page["results"], page["pagination"]["totalPages"]

    async def enrolments_page(self, number: int, per_page: int) -> list[Any]:
        page: list[Any] = self._get(f"/rest/v1/assignments/a1/enrolments?page={number}&perPage={per_page}")
        return page

    async def close(self) -> None:
        self._session.close()


class OpenapiPythonClient(Contender):
    """The client that openapi-python-client generates: httpx and attrs."""

    name = "openapi-python-client"
    needs = (OPC,)

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._client = import_module(OPC).Client(base_url=url, headers=HEADERS, timeout=None)
        self._page = import_module(f"{OPC}.models.user_page").UserPage
        self._users = import_module(f"{OPC}.api.users.search_users").asyncio
        self._audience = import_module(f"{OPC}.api.audiences.get_audience").asyncio
        self._enrolments = import_module(f"{OPC}.api.enrolments.list_enrolments").asyncio

    def decode(self, body: bytes) -> Any:
        return self._page.from_dict(json.loads(body))

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


class OpenapiGenerator(Contender):
    """The client that openapi-generator generates (python, asyncio): aiohttp and pydantic."""

    name = "openapi-generator"
    needs = (OPENAPI_GENERATOR,)

    def __init__(self, url: str) -> None:
        super().__init__(url)
        package = import_module(OPENAPI_GENERATOR)
        settings = package.Configuration(host=url, username=TENANT, password=SECRET)
        settings.connection_pool_maxsize = 100
        self._client = package.ApiClient(settings)
        self._page = import_module(f"{OPENAPI_GENERATOR}.models.user_page").UserPage
        self._users = package.UsersApi(self._client)
        self._audiences = package.AudiencesApi(self._client)
        self._enrolments = package.EnrolmentsApi(self._client)

    def decode(self, body: bytes) -> Any:
        return self._page.from_json(body.decode())

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


class StockCattrs(Contender):
    """Decodes into our models with a plain cattrs converter: Thrive's names, and nothing tuned."""

    name = "stock cattrs on our models"

    def __init__(self, url: str) -> None:
        super().__init__(url)
        from datetime import datetime
        from typing import get_args, get_origin

        import attrs
        from cattrs.gen import make_dict_structure_fn, override
        from cattrs.preconf.orjson import make_converter

        from thrive_async.models import User

        converter = make_converter()

        def renamed(cls: Any) -> Any:
            names = {each.name: override(rename=each.metadata.get("json", each.name)) for each in attrs.fields(cls)}
            return make_dict_structure_fn(cls, converter, **names)  # type: ignore[arg-type]

        def plain_union(kind: Any) -> bool:
            parts = set(get_args(kind)) - {type(None)}
            plain = len(parts) > 1 and all(get_origin(part) is None for part in parts)
            return plain and parts <= {str, bool, int, float}

        converter.register_structure_hook_factory(attrs.has, renamed)
        converter.register_structure_hook_func(plain_union, lambda value, _: value)
        converter.register_structure_hook(datetime, lambda value, _: datetime.fromisoformat(value))
        self._structure = lambda values: converter.structure(values, list[User])

    def decode(self, body: bytes) -> Any:
        return self._structure(orjson.loads(body)["results"])


CONTENDERS: dict[str, Callable[[str], Contender]] = {
    cls.name: cls
    for cls in (
        Ours,
        Hand,
        HandOurModels,
        HandPydantic,
        HttpxPydantic,
        Requests,
        OpenapiPythonClient,
        OpenapiGenerator,
        StockCattrs,
    )
}
OTHERS = (HttpxPydantic, Requests, OpenapiPythonClient, OpenapiGenerator)
"""What a user would pick instead."""


def installed(cls: type[Contender], generated: set[str]) -> list[str]:
    """Return the package a contender needs that is not installed."""
    return [name for name in cls.needs if name not in generated and find_spec(name) is None]
