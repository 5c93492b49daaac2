"""Requests to the sandbox as a stranger sends them: nothing of the SDK but the table of operations."""

import base64
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import aiohttp
import attrs
import orjson
from conformance_table import Ask
from yarl import URL

from thrive_async._generated.operations import OPERATIONS
from thrive_async.sandbox import Sandbox
from thrive_async.sandbox.server.specification import specification


@attrs.frozen
class Answer:
    status: int
    raw: bytes
    headers: Mapping[str, str]

    @property
    def body(self) -> Any:
        return orjson.loads(self.raw) if self.raw else None


def basic(name: str, secret: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode()


async def send(sandbox: Sandbox, operation: str, ask: Ask, authorization: str | None) -> Answer:
    """Send one request."""
    known = OPERATIONS[operation]
    path = known.path
    for name, value in ask.path.items():
        path = path.replace("{" + name + "}", quote(value, safe=""))
    headers = {} if authorization is None else {"Authorization": authorization}
    data = ask.body
    if data is not None and not isinstance(data, aiohttp.FormData):
        headers["Content-Type"] = "application/json"
        data = data if isinstance(data, bytes) else orjson.dumps(data)
    async with (
        aiohttp.ClientSession() as session,
        session.request(
            known.method, URL(sandbox.base_url + path, encoded=True), params=ask.query, data=data, headers=headers
        ) as response,
    ):
        return Answer(response.status, await response.read(), response.headers)


async def token(sandbox: Sandbox, **form: str) -> Answer:
    tokens = sandbox.tokens
    fields = {
        "grant_type": "client_credentials",
        "client_id": tokens.client_id,
        "client_secret": tokens.client_secret,
        **form,
    }
    return await send(
        sandbox, "createAccessToken", Ask({"tenantId": sandbox.tenant_id}, body=aiohttp.FormData(fields)), None
    )


def conforms(operation: str, answer: Answer) -> str | None:
    """What the specification has against an answer, its media type included."""
    if answer.raw and answer.headers["Content-Type"] != "application/json; charset=utf-8":
        return answer.headers["Content-Type"]
    return specification().check_reply(OPERATIONS[operation], answer.status, answer.raw)
