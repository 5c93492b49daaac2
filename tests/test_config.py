"""Settings are checked when they are built, and say what is wrong."""

import math
from pathlib import Path
from typing import Any

import pytest

from thrive_async import ApiKey, ClientCredentials, ConfigurationError, Limits, Region, Retry, ThriveClient, Timeouts
from thrive_async.config import checked_base_url


@pytest.mark.parametrize("value", [0, -1, math.inf, math.nan, "3", True])
def test_a_time_limit_is_a_positive_number(value: object) -> None:
    with pytest.raises(ConfigurationError, match=r"Timeouts\.attempt must be a positive number of seconds"):
        Timeouts(attempt=value)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match=r"Timeouts\.total"):
        Timeouts(total=value)  # type: ignore[arg-type]


def test_a_time_limit_may_be_absent() -> None:
    assert Timeouts(attempt=None, total=None) == Timeouts(attempt=None, total=None)


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: Retry(max_attempts=0), r"Retry\.max_attempts must be a whole number of at least 1"),
        (lambda: Retry(max_attempts=True), r"Retry\.max_attempts must be a whole number of at least 1"),
        (lambda: Retry(base_delay=0), r"Retry\.base_delay"),
        (lambda: Retry(longest_pause=0), "Retry.longest_pause must be a positive number"),
        (lambda: Retry(max_delay=-1), r"Retry\.max_delay"),
        (lambda: Limits(concurrency=0), r"Limits\.concurrency"),
        (lambda: Limits(concurrency=2.5), r"Limits\.concurrency"),  # type: ignore[arg-type]
        (lambda: Limits(rate=0), r"Limits\.rate must be a positive number of requests per second"),
        (lambda: Limits(rate=5, burst=0), r"Limits\.burst"),
        (lambda: Limits(burst=5), r"Limits\.burst needs Limits\.rate"),
        (lambda: Limits(max_reply_bytes=0), r"Limits\.max_reply_bytes"),
        (lambda: ApiKey(""), "the secret is empty"),
        (lambda: ApiKey("key\n"), "line break"),
        (lambda: ClientCredentials("", "secret"), "client_id is empty"),
        (lambda: ClientCredentials("id\n", "secret"), "client_id contains a line break"),
        (lambda: ClientCredentials("id", " "), "the secret is empty"),
        (lambda: ClientCredentials("id", "secret", scopes="api/read,api/write"), "scopes are strings such as"),
        (lambda: ClientCredentials("id", "secret", scopes=("api/read api/write",)), "scopes are strings such as"),
        (lambda: ClientCredentials("id", "secret", scopes=("",)), "scopes are strings such as"),
        (lambda: ClientCredentials("id", "secret", scopes=(None,)), "scopes are strings such as"),  # type: ignore[arg-type]
        (lambda: ClientCredentials("id", "secret", scopes=7), "scopes are strings such as"),  # type: ignore[arg-type]
        (lambda: ClientCredentials("id", "secret", client_auth="both"), "client_auth must be"),  # type: ignore[arg-type]
        (lambda: Region.parse("mars"), "region 'mars' is unknown: choose one of production, staging"),
    ],
)
def test_a_setting_out_of_range_is_refused_by_name(build: object, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        build()  # type: ignore[operator]


@pytest.mark.parametrize("name", ["production-mea", "PRODUCTION_MEA", " production mea "])
def test_a_region_is_known_by_its_name_in_any_spelling(name: str) -> None:
    assert Region.parse(name) is Region.PRODUCTION_MEA


def test_every_region_has_the_hosts_of_the_specification() -> None:
    import json
    from importlib.resources import files

    document = json.loads(files("thrive_async._generated").joinpath("openapi.json").read_bytes())
    assert {server["url"] for server in document["servers"]} == {region.api_url for region in Region}
    token_servers = {server["url"] for server in document["paths"]["/oauth2/token/{tenantId}"]["servers"]}
    assert {region.webhooks_url for region in Region} <= token_servers


def test_webhook_tokens_come_from_the_user_host() -> None:
    only = ClientCredentials("id", "secret", scopes=("api/webhooks",))
    assert only.token_base_url(Region.STAGING_MEA) == "https://user.api.meastaging.learn.tech"
    assert ClientCredentials("id", "secret").token_base_url(Region.STAGING) == "https://public.api.learnstaging.link"


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://public.api.learn.link", "would send credentials unencrypted"),
        ("http://127.0.0.1.evil.example", "would send credentials unencrypted"),
        ("http://127.1", "would send credentials unencrypted"),
        ("http://notlocalhost", "would send credentials unencrypted"),
        ("http://localhost.evil.example", "would send credentials unencrypted"),
        ("http://0.0.0.0", "would send credentials unencrypted"),
        ("ftp://host", "begin with https"),
        ("public.api.learn.link", "begin with https"),
        ("https://host/rest/v1", "must end before /rest/v1"),
        ("https://user:pass@host", "must not hold a user or password"),
        ("https://user@host", "must not hold a user or password"),
        ("https://host?x=1", "must end before /rest/v1"),
    ],
)
def test_a_base_url_that_cannot_work_is_refused(url: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        checked_base_url(url)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8080", "http://127.8.0.1:8080", "http://localhost:1/", "http://[::1]:5", "https://host"]
)
def test_http_is_for_loopback_and_https_for_all(url: str) -> None:
    assert checked_base_url(url) == url.rstrip("/")


@pytest.mark.parametrize("tenant", ["", "   ", "a:b", "a/b", "a\nb", None])
def test_a_tenant_id_that_cannot_be_one_is_refused(tenant: object) -> None:
    with pytest.raises(ConfigurationError, match="tenant_id"):
        ThriveClient(tenant, ApiKey("x"))  # type: ignore[arg-type]


def test_credentials_must_be_credentials() -> None:
    with pytest.raises(ConfigurationError, match="credentials must be"):
        ThriveClient("t", "secret")  # type: ignore[arg-type]


GOOD = {"THRIVE_TENANT_ID": "t-1", "THRIVE_API_KEY": "k"}


def test_a_client_comes_from_the_environment() -> None:
    client = ThriveClient.from_env({**GOOD, "THRIVE_REGION": "staging"})
    assert (client.tenant_id, client.base_url) == ("t-1", "https://public.api.learnstaging.link")
    other = ThriveClient.from_env(
        {"THRIVE_TENANT_ID": "t", "THRIVE_CLIENT_ID": "i", "THRIVE_CLIENT_SECRET": "s", "THRIVE_BASE_URL": "https://h"}
    )
    assert other.base_url == "https://h"


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({}, "THRIVE_TENANT_ID is not set"),
        ({"THRIVE_TENANT_ID": "t"}, "set THRIVE_API_KEY or"),
        ({"THRIVE_TENANT_ID": "t", "THRIVE_CLIENT_ID": "i"}, "neither THRIVE_CLIENT_SECRET nor"),
        ({**GOOD, "THRIVE_CLIENT_ID": "i"}, "unset THRIVE_API_KEY, or THRIVE_CLIENT_ID$"),
        ({**GOOD, "THRIVE_CLIENT_SECRET_FILE": __file__}, "SECRET_FILE: the secret contains a line break"),
        ({**GOOD, "THRIVE_REGION": "moon"}, "THRIVE_REGION 'moon' is unknown"),
        ({**GOOD, "THRIVE_BASE_URL": "http://example.com"}, "unencrypted"),
    ],
)
def test_an_environment_that_cannot_work_is_named(environ: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        ThriveClient.from_env(environ)


def test_a_secret_in_a_file_is_named_by_the_variable_that_names_the_file(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("hush\n")
    tenant = {"THRIVE_TENANT_ID": "t"}
    for environ, words in (
        ({"THRIVE_API_KEY_FILE": file, "THRIVE_CLIENT_ID": "i"}, "unset THRIVE_API_KEY_FILE, or THRIVE_CLIENT_ID$"),
        ({"THRIVE_API_KEY": "k", "THRIVE_CLIENT_SECRET_FILE": file}, "API_KEY, or THRIVE_CLIENT_SECRET_FILE$"),
        ({"THRIVE_CLIENT_SECRET_FILE": file}, "^THRIVE_CLIENT_SECRET_FILE is set, but THRIVE_CLIENT_ID is not"),
    ):
        with pytest.raises(ConfigurationError, match=words):
            ThriveClient.from_env(tenant | {name: str(value) for name, value in environ.items()})


def test_arguments_win_over_the_environment_and_their_variables_are_not_read() -> None:
    async def token() -> tuple[str, float]:
        return "t", 60

    wrong = {"THRIVE_TENANT_ID": "a/b", "THRIVE_API_KEY": "k", "THRIVE_CLIENT_ID": "i", "THRIVE_REGION": "mars"}
    chosen = {"tenant_id": "t-2", "credentials": token, "region": "staging"}
    for environ in ({}, wrong):
        client = ThriveClient.from_env(environ, **chosen)
        assert (client.tenant_id, client.base_url) == ("t-2", "https://public.api.learnstaging.link")
    assert ThriveClient.from_env(GOOD, tenant_id="t-2").tenant_id == "t-2"
    assert ThriveClient.from_env({"THRIVE_TENANT_ID": "t-1"}, credentials=ApiKey("other")).tenant_id == "t-1"


def test_an_argument_that_wins_over_its_variable_is_refused_under_its_own_name() -> None:
    with pytest.raises(ConfigurationError, match=r"^tenant_id must look like"):
        ThriveClient.from_env(GOOD, tenant_id="a/b")
    with pytest.raises(ConfigurationError, match=r"^tenant_id is empty"):
        ThriveClient.from_env(GOOD, tenant_id=None)
    with pytest.raises(ConfigurationError, match=r"^credentials must be"):
        ThriveClient.from_env(GOOD, credentials="secret")


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"retry": 5}, "retry must be Retry, not int"),
        ({"timeouts": 30}, "timeouts must be Timeouts"),
        ({"limits": {}}, "limits must be Limits"),
        ({"session": "x"}, "session must be ClientSession"),
        ({"region": 5}, "region must be Region or str"),
    ],
)
def test_a_setting_of_another_kind_is_refused_when_the_client_is_built(setting: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        ThriveClient("t", ApiKey("x"), **setting)


def test_no_repr_shows_a_secret() -> None:
    for thing in (ApiKey("hush-hush"), ClientCredentials("id", "hush-hush"), ThriveClient("t", ApiKey("hush-hush"))):
        assert "hush" not in repr(thing)
