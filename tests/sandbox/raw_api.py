"""The sandbox without the SDK: a plain aiohttp session."""

import base64
from typing import Any

import aiohttp
import attrs
import orjson
from multidict import CIMultiDictProxy
from yarl import URL

from thrive_async.sandbox import Sandbox


@attrs.frozen
class Answer:
    status: int
    body: Any
    headers: CIMultiDictProxy[str]
    raw: bytes


class Api:
    """An HTTP client for one sandbox, by default with the tenant's API key."""

    def __init__(self, sandbox: Sandbox, session: aiohttp.ClientSession) -> None:
        self.sandbox = sandbox
        self.session = session
        pair = f"{sandbox.tenant_id}:{sandbox.tokens.api_key}".encode()
        self.basic = "Basic " + base64.b64encode(pair).decode()

    async def __call__(self, method: str, path: str, body: Any = None, **options: Any) -> Answer:
        """Send a request. `path` follows the host and is already encoded."""
        headers = {"Authorization": self.basic, **options.pop("headers", {})}
        headers = {name: value for name, value in headers.items() if value is not None}
        if body is not None:
            options["data"] = orjson.dumps(body)
            headers.setdefault("Content-Type", "application/json")
        url = URL(self.sandbox.base_url + path, encoded=True)
        async with self.session.request(method, url, headers=headers, **options) as response:
            raw = await response.read()
            try:
                decoded = orjson.loads(raw) if raw else None
            except orjson.JSONDecodeError:
                decoded = raw
            return Answer(response.status, decoded, response.headers, raw)

    async def token(self, *, path: str | None = None, **form: str) -> Answer:
        """Ask the token endpoint, by form fields."""
        tokens = self.sandbox.tokens
        fields = {
            "grant_type": "client_credentials",
            "client_id": tokens.client_id,
            "client_secret": tokens.client_secret,
            **form,
        }
        return await self(
            "POST",
            path or f"/oauth2/token/{self.sandbox.tenant_id}",
            headers={"Authorization": None, "Content-Type": "application/x-www-form-urlencoded"},
            data=aiohttp.FormData({name: value for name, value in fields.items() if value})(),
        )


def connect() -> aiohttp.ClientSession:
    """A session that keeps no connections. Beware: aiohttp itself sends a GET again when the connection is dropped."""
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True))


def message(answer: Answer) -> Any:
    """Return the message of an error in Thrive's shape."""
    assert answer.body["status"] == answer.status
    assert set(answer.body) == {"status", "error", "message"}
    return answer.body["message"]
