"""The client: how it is built, its loop, its session, and what `request` reaches."""

import asyncio
import copy
import gc
import os
import pickle
import ssl
import subprocess
import sys
import threading
import warnings
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import aiohttp
import pytest
import trustme
import uvloop
from raw_server import KEY, TENANT, USER, RawRequest, RawServer, hang, reply

from thrive_async import (
    ApiKey,
    ClientCredentials,
    ConfigurationError,
    ConnectionFailed,
    DecodeError,
    InvalidArgument,
    Limits,
    NotFoundError,
    PermissionDeniedError,
    Region,
    Retry,
    ServerError,
    ThriveClient,
    __version__,
)
from thrive_async._environment import Environment
from thrive_async._http import session
from thrive_async._http.session import Proxy
from thrive_async.models import UserCreate, UserStatus
from thrive_async.sandbox import Sandbox, VirtualClock

# How it is built


def test_a_client_can_be_built_without_a_loop_and_dropped_unused() -> None:
    ThriveClient(TENANT, ApiKey(KEY))
    gc.collect()


@pytest.mark.parametrize("region", list(Region))
def test_each_region_has_its_host(region: Region) -> None:
    assert ThriveClient(TENANT, ApiKey(KEY), region=region).base_url == region.api_url
    assert ThriveClient(TENANT, ApiKey(KEY), region=region.value).base_url == region.api_url


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"tenant_id": ""}, "tenant_id is empty"),
        ({"tenant_id": None}, "tenant_id is empty"),
        ({"tenant_id": "a/b"}, "tenant_id must look like"),
        ({"tenant_id": 5}, "tenant_id is a string such as eu-west-2_AbcdEfghI, not int"),
        ({"tenant_id": ApiKey(KEY), "credentials": TENANT}, "the tenant id comes before the credentials"),
        ({"tenant_id": ClientCredentials("a", KEY), "credentials": TENANT}, "comes before the credentials"),
        ({"credentials": "key"}, "credentials must be ApiKey"),
        ({"trust_env": "no"}, "trust_env must be bool, not str"),
        ({"ca_file": 5}, "ca_file must be str or Path, not int"),
        ({"region": "mars"}, "region 'mars' is unknown"),
        ({"base_url": "http://thrive.example.com"}, "would send credentials unencrypted"),
        ({"base_url": "http://sandbox:8080"}, "use https, or set allow_http if the network in between is yours"),
        ({"allow_http": "yes"}, "allow_http must be bool, not str"),
        ({"base_url": "https://thrive.example.com/rest/v1"}, "must end before /rest/v1"),
        ({"base_url": "https://thrive.example.com/a/rest/"}, "must end before /rest/v1"),
        ({"base_url": "https://thrive.example.com/?a=b"}, "must end before /rest/v1"),
        ({"base_url": "https://user:pass@thrive.example.com"}, "must not hold a user"),
        ({"base_url": "ftp://thrive.example.com"}, "must begin with https"),
        ({"base_url": "https://[::1"}, "is not a URL"),
        ({"proxy": "socks5://proxy:1080"}, "a proxy must be a URL"),
        ({"proxy": "http://[::1"}, "a proxy must be a URL"),
        ({"proxy": "proxy:3128"}, "a proxy must be a URL"),
    ],
)
def test_settings_that_cannot_work_are_refused_when_the_client_is_built(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        ThriveClient(**({"tenant_id": TENANT, "credentials": ApiKey(KEY)} | arguments))


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "localhost", "[::1]:8080"])
def test_plain_http_is_for_loopback(host: str) -> None:
    assert ThriveClient(TENANT, ApiKey(KEY), base_url=f"http://{host}/").base_url == f"http://{host}"


def test_plain_http_to_another_host_is_asked_for_by_name() -> None:
    client = ThriveClient(TENANT, ApiKey(KEY), base_url="http://sandbox:8080", allow_http=True)
    assert client.base_url == "http://sandbox:8080"
    env = {"THRIVE_TENANT_ID": TENANT, "THRIVE_API_KEY": KEY, "THRIVE_BASE_URL": "http://sandbox:8080"}
    with pytest.raises(ConfigurationError, match="use https, or set THRIVE_ALLOW_HTTP if"):
        ThriveClient.from_env(env)
    assert ThriveClient.from_env(env, allow_http=True).base_url == "http://sandbox:8080"
    assert ThriveClient.from_env(env | {"THRIVE_ALLOW_HTTP": "1"}).base_url == "http://sandbox:8080"
    with pytest.raises(ConfigurationError, match="THRIVE_ALLOW_HTTP must be true or false"):
        ThriveClient.from_env(env | {"THRIVE_ALLOW_HTTP": "perhaps"})


async def test_a_base_url_may_have_a_path_in_front() -> None:
    token = reply(200, {"access_token": "t", "expires_in": 60})
    async with RawServer([token, USER, reply(200, [])]) as server:
        base_url = f"{server.base_url}/team%20a/thrive/"
        async with server.client(base_url=base_url, credentials=ClientCredentials("a", "b")) as thrive:
            await thrive.users.get("u1")
            await thrive.request("GET", "/rest/v1/things")
    assert [request.target.startswith("/team%20a/thrive/") for request in server.requests] == [True] * 3


def test_a_client_is_made_from_the_environment() -> None:
    env = {"THRIVE_TENANT_ID": TENANT, "THRIVE_API_KEY": KEY, "THRIVE_REGION": "staging_mea"}
    assert ThriveClient.from_env(env).base_url == Region.STAGING_MEA.api_url
    env = {"THRIVE_TENANT_ID": TENANT, "THRIVE_CLIENT_ID": "a", "THRIVE_CLIENT_SECRET": "b"}
    env["THRIVE_BASE_URL"] = "http://localhost:1"
    client = ThriveClient.from_env(env)
    assert client.base_url == "http://localhost:1"
    assert ThriveClient.from_env(env, base_url="http://localhost:2").base_url == "http://localhost:2"


@pytest.mark.parametrize(("scopes", "may_write"), [("api/read api/write", True), ("api/read", False), (" ", True)])
async def test_scopes_come_from_the_environment(scopes: str, may_write: bool) -> None:
    async with Sandbox(users=1) as sandbox:
        env = {
            "THRIVE_BASE_URL": sandbox.base_url,
            "THRIVE_TENANT_ID": sandbox.tenant_id,
            "THRIVE_CLIENT_ID": sandbox.tokens.client_id,
            "THRIVE_CLIENT_SECRET": sandbox.tokens.client_secret,
            "THRIVE_SCOPES": scopes,
        }
        async with ThriveClient.from_env(env) as thrive:
            await thrive.skills.levels()
            # A 404 is for those alone who may.
            with pytest.raises(NotFoundError if may_write else PermissionDeniedError):
                await thrive.users.delete("nobody")


@pytest.mark.parametrize(
    ("env", "words"),
    [
        ({}, "THRIVE_TENANT_ID is not set"),
        ({"THRIVE_TENANT_ID": "a/b", "THRIVE_API_KEY": "k"}, "THRIVE_TENANT_ID must look like"),
        ({"THRIVE_TENANT_ID": TENANT}, "set THRIVE_API_KEY or"),
        ({"THRIVE_TENANT_ID": TENANT, "THRIVE_API_KEY": " "}, "set THRIVE_API_KEY or"),
        ({"THRIVE_TENANT_ID": TENANT, "THRIVE_API_KEY": "a\nb"}, "THRIVE_API_KEY: .* line break"),
        ({"THRIVE_TENANT_ID": TENANT, "THRIVE_CLIENT_ID": "a"}, "THRIVE_CLIENT_ID is set, but neither"),
        (
            {"THRIVE_TENANT_ID": TENANT, "THRIVE_CLIENT_SECRET": "a"},
            "THRIVE_CLIENT_SECRET is set, but THRIVE_CLIENT_ID",
        ),
        ({"THRIVE_TENANT_ID": TENANT, "THRIVE_API_KEY": "k", "THRIVE_CLIENT_ID": "a"}, "unset THRIVE_API_KEY, or"),
        (
            {"THRIVE_TENANT_ID": TENANT, "THRIVE_CLIENT_ID": "a\nb", "THRIVE_CLIENT_SECRET": "s"},
            "THRIVE_CLIENT_ID contains a line break",
        ),
        (
            {"THRIVE_TENANT_ID": TENANT, "THRIVE_CLIENT_ID": "a", "THRIVE_CLIENT_SECRET": "s", "THRIVE_SCOPES": "é"},
            "THRIVE_SCOPES are strings",
        ),
        ({"THRIVE_TENANT_ID": TENANT, "THRIVE_API_KEY": "k", "THRIVE_REGION": "x"}, "THRIVE_REGION 'x' is unknown"),
        ({"THRIVE_TENANT_ID": TENANT, "THRIVE_API_KEY": "k", "THRIVE_BASE_URL": "x"}, "THRIVE_BASE_URL must begin"),
        (
            {"THRIVE_TENANT_ID": TENANT, "THRIVE_API_KEY_FILE": "nowhere"},
            "THRIVE_API_KEY_FILE: cannot read nowhere: No such file",
        ),
        (
            {"THRIVE_TENANT_ID": TENANT, "THRIVE_API_KEY_FILE": "nowhere", "THRIVE_API_KEY": "k"},
            "both THRIVE_API_KEY and THRIVE_API_KEY_FILE are set",
        ),
    ],
)
def test_an_error_in_the_environment_names_its_variable(env: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        ThriveClient.from_env(env)


def test_a_setting_that_overrides_a_variable_keeps_its_own_name() -> None:
    env = {"THRIVE_TENANT_ID": TENANT, "THRIVE_API_KEY": "k", "THRIVE_REGION": "staging"}
    with pytest.raises(ConfigurationError, match="region 'x' is unknown"):
        ThriveClient.from_env(env, region="x")


def test_secrets_come_from_files_that_the_environment_names(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("k-1\n", encoding="utf-8")
    api_key = Environment({"THRIVE_API_KEY_FILE": str(key), "THRIVE_API_KEY": ""}).credentials()
    assert api_key == ApiKey("k-1")
    both = Environment({"THRIVE_CLIENT_ID": "id", "THRIVE_CLIENT_SECRET_FILE": str(key)}).credentials()
    assert both == ClientCredentials("id", "k-1")
    for content, words in ((b" \n", "THRIVE_API_KEY_FILE: the secret is empty"), (b"\xff", "it is not a text file")):
        key.write_bytes(content)
        with pytest.raises(ConfigurationError, match=words):
            Environment({"THRIVE_API_KEY_FILE": str(key)}).credentials()


async def test_the_webhooks_scope_has_its_own_token_host() -> None:
    asked: list[str] = []

    async def answered(call: Any) -> Any:
        asked.append(call.base_url)
        raise ConnectionFailed("down", operation="createAccessToken", attempts=1, maybe_applied=False)

    for scopes, url in (
        (("api/webhooks",), Region.STAGING.webhooks_url),
        (("api/webhooks", "api/all"), Region.STAGING.api_url),
        (("api/read",), Region.STAGING.api_url),
    ):
        credentials = ClientCredentials("a", "b", scopes=scopes)
        client = ThriveClient(TENANT, credentials, region="staging")
        client._transport._answered = answered  # type: ignore[method-assign]
        with pytest.raises(ConnectionFailed):
            await client._transport._authorizer.header()
        assert asked.pop() == url
        assert client.base_url == Region.STAGING.api_url


def test_a_client_shows_its_host_and_nothing_else() -> None:
    client = ThriveClient(TENANT, ApiKey(KEY), base_url="http://localhost:1")
    assert repr(client) == "<ThriveClient http://localhost:1>"


# The loop it lives on


def test_use_on_another_loop_is_an_error_that_says_what_to_do() -> None:
    client = ThriveClient(TENANT, ApiKey(KEY), base_url="http://127.0.0.1:1", retry=Retry(max_attempts=1))

    async def use() -> None:
        with pytest.raises(ConnectionFailed):
            await client.users.get("u1")

    async def close() -> None:
        await client.aclose()

    with asyncio.Runner() as first:
        first.run(use())
        with asyncio.Runner() as second, pytest.raises(ConfigurationError, match="build one client per loop"):
            second.run(use())
        with asyncio.Runner() as second, pytest.raises(ConfigurationError, match="build one client per loop"):
            second.run(close())
        first.run(use())
        first.run(close())


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_one_client_serves_loop_after_loop_with_one_token(served: Sandbox, new_loop: Any) -> None:
    """As Lambda, Celery and scripts run; nothing is left open, or a ResourceWarning would fail the test."""
    client = served.client(credentials=served.oauth)
    gate = client._transport._gate

    async def use() -> int:
        return len(await client.users.list(per_page=20).collect())

    for _ in range(3):
        with asyncio.Runner(loop_factory=new_loop) as runner:
            assert runner.run(use()) == 60
        gc.collect()
    assert len(served.requests.of("createAccessToken")) == 1
    assert client._transport._gate is not gate
    assert client._transport._gate._pace is gate._pace
    asyncio.run(client.aclose())
    with pytest.raises(ConfigurationError, match="is closed"):
        asyncio.run(use())


def test_a_loop_that_was_closed_in_the_middle_of_calls_holds_no_slot(served: Sandbox) -> None:
    client = served.client(limits=Limits(concurrency=1))
    served.faults.add("latency", seconds=60, times=1)

    async def leave_alone() -> None:
        task = asyncio.create_task(client.skills.levels())
        await asyncio.sleep(0.05)
        task.cancel()

    async def use() -> None:
        async with client:
            await client.skills.levels()

    asyncio.run(leave_alone())
    asyncio.run(use())


@pytest.mark.filterwarnings("ignore:unclosed transport:ResourceWarning")
@pytest.mark.filterwarnings("ignore:Exception ignored:pytest.PytestUnraisableExceptionWarning")
def test_a_loop_that_was_just_closed_is_left_as_well(served: Sandbox) -> None:
    client = served.client()
    loop = asyncio.new_event_loop()
    loop.run_until_complete(client.skills.levels())
    loop.close()

    async def use() -> None:
        async with client:
            await client.skills.levels()

    asyncio.run(use())
    gc.collect()


def test_a_client_that_a_closed_loop_has_left_can_be_closed(served: Sandbox) -> None:
    client = served.client()
    asyncio.run(client.skills.levels())
    asyncio.run(client.aclose())
    asyncio.run(client.aclose())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_after_a_fork_the_child_opens_connections_of_its_own(served: Sandbox) -> None:
    """And leaves those of the parent alone, which go on."""
    program = (
        "import asyncio, gc, os, sys\n"
        "from thrive_async import ThriveClient\n"
        "client = ThriveClient.from_env()\n"
        "with asyncio.Runner() as runner:\n"
        "    runner.run(client.skills.levels())\n"
        "    session = client._transport._session._session\n"
        "    child = os.fork()\n"
        "    if not child:\n"
        "        gc.collect()\n"
        "        asyncio.run(client.skills.levels())\n"
        "        os._exit(0)\n"
        "    assert os.waitpid(child, 0)[1] == 0\n"
        "    runner.run(client.skills.levels())\n"
        "    assert client._transport._session._session is session\n"
        "    runner.run(client.aclose())\n"
    )
    environ = os.environ | served.environment | {"PYTHONPATH": os.pathsep.join(sys.path)}
    ran = subprocess.run([sys.executable, "-c", program], env=environ, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert len(served.requests) == 3


def test_asyncio_run_several_times_in_a_row_with_a_client_each() -> None:
    async def main() -> int:
        async with Sandbox(users=3) as sandbox, sandbox.client() as thrive:
            return len(await thrive.users.list().collect())

    assert [asyncio.run(main()) for _ in range(3)] == [3, 3, 3]


def test_a_client_may_be_made_in_one_thread_and_used_in_another() -> None:
    client = ThriveClient(TENANT, ApiKey(KEY), base_url="http://127.0.0.1:1", retry=Retry(max_attempts=1))
    errors: list[BaseException] = []

    async def use() -> None:
        async with client:
            with pytest.raises(ConnectionFailed):
                await client.users.get("u1")

    def run() -> None:
        try:
            asyncio.run(use())
        except BaseException as error:  # noqa: BLE001
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert errors == []


# Whose session


async def test_a_client_that_is_never_closed_warns(server: RawServer) -> None:
    client = server.client()
    await client.users.get("u1")
    session = client._transport._session._session
    assert session is not None
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        del client
        gc.collect()
    (warning,) = [one for one in told if one.category is ResourceWarning]
    assert str(warning.message).startswith("a ThriveClient or ThrivePool was never closed: use it with `async with`")
    # Nothing but the warning happened: its connections still stand.
    assert not session.closed
    await session.close()


async def test_a_session_of_the_users_is_used_and_never_closed(server: RawServer) -> None:
    async with aiohttp.ClientSession(headers={"X-Mine": "yes"}) as session:
        async with server.client(session=session) as thrive:
            await thrive.users.get("u1")
        assert not session.closed
        assert server.requests[0].headers["x-mine"] == "yes"
        with pytest.raises(ConfigurationError, match="is closed"):
            await thrive.users.get("u1")
    del thrive
    gc.collect()


async def test_the_middlewares_of_a_users_session_still_run(server: RawServer) -> None:
    seen: list[tuple[str, int]] = []

    async def watch(request: aiohttp.ClientRequest, handler: Any) -> aiohttp.ClientResponse:
        response: aiohttp.ClientResponse = await handler(request)
        seen.append((request.method, response.status))
        return response

    async with aiohttp.ClientSession(middlewares=[watch]) as session, server.client(session=session) as thrive:
        await thrive.users.get("u1")
    assert seen == [("GET", 200)]


async def test_what_a_users_session_is_set_to_does_not_break_the_sdk(
    clock: VirtualClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own credentials, time limits, status checks, compression: this client's calls follow the client."""
    netrc = tmp_path / "netrc"
    netrc.write_text("default login other password other")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    settings: dict[str, Any] = {
        "raise_for_status": True,
        "auto_decompress": False,
        "timeout": aiohttp.ClientTimeout(total=0.001),
        "base_url": "http://127.0.0.1:9",
        "trust_env": True,
    }
    import gzip

    packed = reply(200, gzip.compress(b'{"id": "1"}'), Content_Encoding="gzip")
    async with RawServer([packed, reply(404)]) as server, aiohttp.ClientSession(**settings) as session:
        thrive = server.client(session=session)
        assert (await thrive.users.get("u1")).id == "1"
        with pytest.raises(NotFoundError):
            await thrive.users.get("u1")
    assert server.requests[0].headers["authorization"] == aiohttp.encode_basic_auth(TENANT, KEY)


async def test_a_users_session_that_is_closed_says_so(server: RawServer) -> None:
    session = aiohttp.ClientSession()
    await session.close()
    async with server.client(session=session) as thrive:
        with pytest.raises(ConfigurationError, match="the aiohttp session given to this ThriveClient is closed"):
            await thrive.users.get("u1")


def test_a_users_session_of_another_loop_says_so() -> None:
    async def make() -> aiohttp.ClientSession:
        return aiohttp.ClientSession()

    async def use() -> None:
        async with ThriveClient(TENANT, ApiKey(KEY), base_url="http://127.0.0.1:1", session=session) as thrive:
            with pytest.raises(ConfigurationError, match="build one client per loop"):
                await thrive.users.get("u1")

    with asyncio.Runner() as first:
        session = first.run(make())
        asyncio.run(use())
        first.run(session.close())


async def test_settings_of_an_own_session_do_not_go_with_a_given_one() -> None:
    async with aiohttp.ClientSession() as session:
        for setting in ({"trust_env": True}, {"ca_file": "ca.pem"}):
            with pytest.raises(ConfigurationError, match="set them up on yours"):
                ThriveClient(TENANT, ApiKey(KEY), session=session, **setting)  # type: ignore[arg-type]


# TLS


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
async def tls_server(authority: trustme.CA) -> AsyncIterator[RawServer]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    async with RawServer([USER], tls=context) as running:
        yield running


async def test_an_untrusted_certificate_is_refused_at_once(tls_server: RawServer) -> None:
    async with tls_server.client() as thrive:
        with pytest.raises(ConnectionFailed, match="TLS certificate is not trusted") as raised:
            await thrive.users.get("u1")
    assert raised.value.attempts == 1
    assert tls_server.requests == []


async def test_ones_own_authority_is_trusted_and_read_off_the_loop(
    tls_server: RawServer, authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ca_file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    threads: list[str] = []
    create = ssl.create_default_context

    def watched(**arguments: Any) -> ssl.SSLContext:
        threads.append(threading.current_thread().name)
        return create(**arguments)

    monkeypatch.setattr(ssl, "create_default_context", watched)
    async with tls_server.client(ca_file=ca_file) as thrive:
        await asyncio.gather(*(thrive.users.get("u1") for _ in range(5)))
    assert len(threads) == 1
    assert threads[0] != threading.main_thread().name


async def test_a_certificate_of_another_host_is_refused(authority: trustme.CA, tmp_path: Path) -> None:
    ca_file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("thrive.example.com").configure_cert(context)
    async with RawServer([USER], tls=context) as server, server.client(ca_file=str(ca_file)) as thrive:
        with pytest.raises(ConnectionFailed, match="TLS certificate is not trusted"):
            await thrive.users.get("u1")
    assert server.requests == []


async def test_a_ca_file_that_cannot_be_read_is_a_configuration_error(server: RawServer, tmp_path: Path) -> None:
    broken = tmp_path / "broken.pem"
    broken.write_text("no certificate")
    for path in (tmp_path / "missing.pem", broken):
        async with server.client(ca_file=path) as thrive:
            with pytest.raises(ConfigurationError, match="ca_file cannot be read as PEM certificates"):
                await thrive.users.get("u1")


async def test_a_client_closed_while_it_opens_leaves_nothing_open(
    tls_server: RawServer, authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed, read = threading.Event(), session._trusting

    def slowly(ca_file: str | Path) -> ssl.SSLContext:
        closed.wait(30)
        return read(ca_file)

    monkeypatch.setattr(session, "_trusting", slowly)
    ca_file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    thrive = tls_server.client(ca_file=ca_file)
    call = asyncio.ensure_future(thrive.users.get("u1"))
    await asyncio.sleep(0)
    await thrive.aclose()
    closed.set()
    with pytest.raises(ConfigurationError, match="is closed"):
        await call
    assert thrive._transport._session._session is None


# Proxies


async def as_proxy(request: RawRequest, writer: asyncio.StreamWriter) -> None:
    writer.write(USER)


async def test_a_proxy_is_used_with_its_password(server: RawServer) -> None:
    async with RawServer([as_proxy]) as proxy:
        url = f"http://me:pass%40word@127.0.0.1:{proxy.port}"
        async with server.client(proxy=url) as thrive:
            await thrive.users.get("u1")
    assert server.requests == []
    (request,) = proxy.requests
    assert request.target == server.base_url + "/rest/v1/user/u1"
    assert request.headers["proxy-authorization"] == aiohttp.encode_basic_auth("me", "pass@word")


async def test_through_a_proxy_tls_goes_to_thrive_itself(clock: VirtualClock) -> None:
    """The proxy sees the host, no credentials, and a refusal of its own is neither Thrive's nor for ever repeated."""
    for status, requests in ((407, 1), (502, 5)):
        async with RawServer([reply(status)]) as proxy:
            url = f"http://127.0.0.1:{proxy.port}"
            async with ThriveClient(TENANT, ApiKey(KEY), proxy=url) as thrive:
                with pytest.raises(ConnectionFailed, match=rf"proxy refused to connect \(status {status}\)") as raised:
                    await thrive.users.get("u1")
                assert raised.value.maybe_applied is False
        assert len(proxy.requests) == requests
        assert proxy.requests[0].method == "CONNECT"
        assert proxy.requests[0].target == "public.api.learn.link:443"
        assert "authorization" not in proxy.requests[0].headers


async def test_a_cookie_of_a_host_with_a_name_is_not_kept() -> None:
    """A cookie of an IP address would not be kept anyway."""
    async with RawServer([reply(200, [], Set_Cookie="a=b; Path=/")]) as server:
        thrive = server.client(base_url=f"http://localhost:{server.port}")
        await thrive.skills.levels()
        await thrive.skills.levels()
        await thrive.aclose()
    assert "cookie" not in server.requests[1].headers


def test_a_proxy_is_shown_without_its_password() -> None:
    assert "secret" not in repr(Proxy.parse("http://me:secret@proxy.example.com:3128"))


async def test_the_proxies_of_the_environment_are_looked_up_off_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """On some systems that reads a registry or asks a service."""
    threads: list[int] = []

    def getproxies() -> dict[str, str]:
        threads.append(threading.get_ident())
        return {}

    monkeypatch.setattr("urllib.request.getproxies", getproxies)
    async with RawServer([USER]) as server, server.client(trust_env=True) as thrive:
        await thrive.users.get("u1")
        await thrive.users.get("u1")
    assert len(threads) == 1
    assert threads[0] != threading.get_ident()


@pytest.mark.parametrize("variables", [("HTTP_PROXY", "HTTPS_PROXY"), ("ALL_PROXY",)])
async def test_the_environment_names_a_proxy_but_not_for_loopback(
    variables: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with RawServer([reply(407)]) as proxy, RawServer([USER]) as server:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            for written in (name, name.lower()):
                monkeypatch.delenv(written, raising=False)
                if name in variables:
                    monkeypatch.setenv(written, f"127.0.0.1:{proxy.port}")
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        async with server.client(trust_env=True) as thrive:
            await thrive.users.get("u1")
        assert proxy.requests == []
        async with ThriveClient(TENANT, ApiKey(KEY), trust_env=True) as thrive:
            with pytest.raises(ConnectionFailed, match="the proxy refused"):
                await thrive.users.get("u1")
        assert len(proxy.requests) == 1
        monkeypatch.setenv("NO_PROXY", "learn.link")
        monkeypatch.setenv("no_proxy", "learn.link")
        async with ThriveClient(TENANT, ApiKey(KEY), trust_env=True) as thrive:
            await thrive._transport._session.opened()
            assert thrive._transport._session.proxy_for(thrive.base_url).url is None


async def test_a_proxy_of_the_environment_that_cannot_be_used_is_a_configuration_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("https_proxy", "socks5://127.0.0.1:1080")
    async with ThriveClient(TENANT, ApiKey(KEY), trust_env=True) as thrive:
        with pytest.raises(ConfigurationError, match="a proxy must be a URL"):
            await thrive.users.get("u1")


# `request`


async def test_request_reaches_endpoints_that_the_sdk_does_not_know() -> None:
    async with RawServer([reply(200, {"a": [1]})]) as server, server.client() as thrive:
        answer = await thrive.request(
            "post",
            "/rest/v1/campaigns/é b/x%2Fy",
            params={
                "text": "a&b",
                "number": 5,
                "flag": True,
                "nothing": None,
                "since": datetime(2026, 1, 2, tzinfo=UTC),
                "many": ["a", "b"],
            },
            json={"name": "x", "nothing": None},
        )
    assert answer == {"a": [1]}
    (request,) = server.requests
    path, _, query = request.target.partition("?")
    assert request.method == "POST"
    assert path == "/rest/v1/campaigns/%C3%A9%20b/x%2Fy"
    assert unquote(query) == "text=a&b&number=5&flag=true&since=2026-01-02T00:00:00.000Z&many=a,b"
    assert "text=a%26b" in query
    assert request.body == b'{"name":"x","nothing":null}'
    assert request.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("method", "status", "body", "answer"),
    [
        ("POST", 204, b"", None),
        ("POST", 200, b"", None),
        ("GET", 200, b"", None),
        ("HEAD", 200, b"", None),
        ("DELETE", 200, b"<html>", None),
        ("POST", 200, b"OK", None),
        ("DELETE", 200, b"", None),
        ("DELETE", 200, b'{"a": 1}', {"a": 1}),
        ("GET", 200, b"null", None),
        ("GET", 207, b"[1]", [1]),
    ],
)
async def test_request_gives_back_the_json_or_none(method: str, status: int, body: bytes, answer: object) -> None:
    async with RawServer([reply(status, body)]) as server, server.client() as thrive:
        assert await thrive.request(method, "/rest/v1/things") == answer


async def test_request_writes_every_kind_of_parameter_alone_and_in_lists() -> None:
    moment = datetime(2026, 1, 2, tzinfo=UTC)
    values = {"n": 5, "x": 1.5, "yes": True, "t": moment, "d": moment.date(), "e": UserStatus.NEW, "s": "a"}
    async with RawServer([reply(200, {})]) as server, server.client() as thrive:
        await thrive.request("GET", "/rest/v1/things", params={**values, "all": list(values.values())})
    (request,) = server.requests
    written = ["5", "1.5", "true", "2026-01-02T00:00:00.000Z", "2026-01-02", "new", "a"]
    pairs = [f"{name}={text}" for name, text in zip(values, written, strict=True)]
    assert unquote(request.target.partition("?")[2]) == "&".join([*pairs, f"all={','.join(written)}"])


async def test_request_sends_no_body_where_there_is_none() -> None:
    async with RawServer([reply(200, {})]) as server, server.client() as thrive:
        await thrive.request("GET", "/rest/v1/things", params=None, json=None)
    assert server.requests[0].body == b""
    assert "content-type" not in server.requests[0].headers


@pytest.mark.parametrize("value", [{"a": 1}, b"x", [None], object()])
async def test_request_refuses_invalid_parameters(value: object) -> None:
    async with RawServer([]) as server, server.client() as thrive:
        with pytest.raises(TypeError, match="q takes a string"):
            await thrive.request("GET", "/rest/v1/things", params={"q": value})
    assert not server.requests


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"method": 5}, 'method must be a string such as "GET", not int'),
        ({"path": None}, 'path must be a string such as "/rest/v1/users", not NoneType'),
        ({"params": [("a", 1)]}, "params must be a mapping of names to values, not list"),
        ({"params": "a=1"}, "params must be a mapping of names to values, not str"),
        ({"params": {1: "a"}}, "the names of params must be strings"),
    ],
)
async def test_request_says_what_its_arguments_are(arguments: dict[str, Any], words: str) -> None:
    async with RawServer([]) as server, server.client() as thrive:
        with pytest.raises(TypeError, match=words):
            await thrive.request(**({"method": "GET", "path": "/rest/v1/things"} | arguments))
    assert not server.requests


@pytest.mark.parametrize("body", [b"<html>", b"OK"])
async def test_request_refuses_what_it_cannot_read(body: bytes, clock: VirtualClock) -> None:
    async with RawServer([reply(200, body)]) as server, server.client() as thrive:
        with pytest.raises(DecodeError, match="GET by hand"):
            await thrive.request("GET", "/rest/v1/things")


@pytest.mark.parametrize(
    ("method", "sent"), [("GET", 2), ("HEAD", 2), ("PUT", 2), ("DELETE", 2), ("POST", 1), ("PATCH", 1)]
)
async def test_request_repeats_only_methods_that_allow_it(method: str, sent: int, clock: VirtualClock) -> None:
    retry = Retry(max_attempts=2)
    async with RawServer([reply(502, b"")]) as server, server.client(retry=retry) as thrive:
        with pytest.raises(ServerError, match="502"):
            await thrive.request(method, "/rest/v1/things")
    assert len(server.requests) == sent


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("BREW", "/rest/v1/pots"),
        ("GET /x HTTP/1.1\r\nX: y", "/rest/v1/pots"),
        ("GET", "rest/v1/pots"),
        ("GET", "//evil.example.com/x"),
        ("GET", "https://evil.example.com/x"),
        ("GET", "/rest/v1/pots?x=1"),
        ("GET", "/rest/v1/pots#x"),
        ("GET", "/rest/v1/../v2/pots"),
        ("GET", "/rest/v1/%2E%2e/v2/pots"),
        ("GET", "/rest/v1/\ud800"),
    ],
)
async def test_request_refuses_invalid_arguments(server: RawServer, method: str, path: str) -> None:
    async with server.client() as thrive:
        with pytest.raises(ValueError):  # noqa: PT011
            await thrive.request(method, path)
    assert server.requests == []


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/rest/v1/users/ref/anna", "/rest/v1/users/..."),
        ("/rest/v1/users", "/rest/v1/users"),
        ("/users/anna", "/users/..."),
        ("/anna@example.org", "/..."),
        ("/rest/v1/", "/rest/..."),
    ],
)
async def test_a_path_shown_by_request_names_no_person(path: str, shown: str) -> None:
    refusal = reply(404, {"message": "no anna@example.org"})
    async with RawServer([refusal]) as server, server.client() as thrive:
        with pytest.raises(NotFoundError) as raised:
            await thrive.request("GET", path)
    assert str(raised.value).startswith(f"GET {shown}: 404 ")
    assert "anna@" not in str(raised.value)


async def test_a_call_that_is_under_way_when_the_loop_ends_leaves_no_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")

        def run() -> None:
            async def main() -> None:
                async with RawServer([hang]) as server, server.client() as thrive:
                    asyncio.ensure_future(thrive.users.get("u1"))  # noqa: RUF006
                    await asyncio.sleep(0.01)

            asyncio.run(main())

        await asyncio.to_thread(run)
        gc.collect()


# How it is closed


async def write(thrive: ThriveClient, name: str) -> str:
    try:
        return (await thrive.users.create(UserCreate(ref=name, first_name="A", last_name="B", login_method="ref"))).id
    except ConnectionFailed as error:
        return f"maybe {error.maybe_applied}"


@pytest.mark.parametrize("whose", ["own", "given"])
async def test_a_drain_lets_writes_under_way_finish_and_no_longer(whose: str, clock: VirtualClock) -> None:
    async with Sandbox(users=1, clock=clock, latency=2) as sandbox, aiohttp.ClientSession() as session:
        thrive = sandbox.client(limits=Limits(concurrency=2), **({"session": session} if whose == "given" else {}))
        writes = [asyncio.create_task(write(thrive, f"n{number}")) for number in range(3)]
        await asyncio.sleep(1)
        closing = asyncio.create_task(thrive.aclose(drain=30))
        await asyncio.sleep(0.1)
        with pytest.raises(ConfigurationError, match="this ThriveClient is closed"):
            await thrive.skills.levels()
        assert not any("maybe" in done for done in await asyncio.gather(*writes))
        await closing
        # The third waited for a slot. Nothing waited longer than it had to.
        assert clock.elapsed < 5


async def test_what_is_left_after_the_drain_says_that_it_may_have_been_done(clock: VirtualClock) -> None:
    async with Sandbox(users=1, clock=clock, latency=20) as sandbox:
        thrive = sandbox.client()
        writing = asyncio.create_task(write(thrive, "n"))
        await asyncio.sleep(1)
        await thrive.aclose(drain=5)
        assert await writing == "maybe True"
        assert 5 < clock.elapsed < 7
        await thrive.aclose(drain=5)


async def test_a_close_that_is_cancelled_in_its_drain_has_closed(clock: VirtualClock) -> None:
    async with Sandbox(users=1, clock=clock, latency=20) as sandbox:
        thrive = sandbox.client()
        writing = asyncio.create_task(write(thrive, "n"))
        await asyncio.sleep(1)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(thrive.aclose(drain=15), 2)
        assert await writing == "maybe True"
        with pytest.raises(ConfigurationError, match="this ThriveClient is closed"):
            await thrive.skills.levels()


@pytest.mark.parametrize("drain", [-1, True, "5", float("nan"), float("inf")])
async def test_a_drain_is_a_number_of_seconds(drain: Any) -> None:
    with pytest.raises(InvalidArgument, match="drain must be a number of seconds"):
        await ThriveClient(TENANT, ApiKey(KEY)).aclose(drain=drain)


# What it tells of itself


async def test_the_user_agent_names_the_version(server: RawServer) -> None:
    async with server.client() as thrive:
        await thrive.users.get("u1")
    assert server.requests[0].headers["user-agent"].startswith(f"thrive-async/{__version__} (Python 3.")


@pytest.mark.parametrize("make", [copy.copy, copy.deepcopy, pickle.dumps])
def test_a_client_is_never_copied(make: Any) -> None:
    """A copy would share its connections, and close them under it."""
    with pytest.raises(TypeError, match="a ThriveClient holds connections"):
        make(ThriveClient(TENANT, ApiKey(KEY)))


@pytest.mark.parametrize(("wanted", "lines"), [("debug", 1), ("info", 0), ("", 0)])
def test_thrive_log_prints_the_log_of_a_program_that_has_none(wanted: str, lines: int) -> None:
    program = (
        "import logging, thrive_async\n"
        "thrive_async.ThriveClient('t', thrive_async.ApiKey('k'))\n"
        "thrive_async.ThriveClient('t', thrive_async.ApiKey('k'))\n"
        "logging.getLogger('thrive_async').debug('once')\n"
        "logging.basicConfig(level='ERROR')\n"
        "logging.getLogger('thrive_async').debug('not again')\n"
    )
    environ = os.environ | {"THRIVE_LOG": wanted, "PYTHONPATH": os.pathsep.join(sys.path)}
    ran = subprocess.run([sys.executable, "-c", program], env=environ, capture_output=True, text=True, check=True)
    told = [line for line in ran.stderr.splitlines() if "once" in line]
    assert len(told) == lines
    assert all(line.endswith("DEBUG thrive_async: once") for line in told)


def test_thrive_log_is_debug_or_info(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THRIVE_LOG", "loud")
    with pytest.raises(ConfigurationError, match="THRIVE_LOG must be debug or info"):
        ThriveClient(TENANT, ApiKey(KEY))
