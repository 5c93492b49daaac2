"""`thrive.provisioning`: one event a call, any 2xx is success, and the right token for it."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from thrive_async import ApiKey, ClientCredentials, ConflictError, ConnectionFailed, NotFoundError, Region, ThriveClient
from thrive_async.models import UserCreate, UserUpdate
from thrive_async.sandbox import Sandbox

ADA = UserCreate(ref="E00001", first_name="Ada", last_name="Lovelace", email="user1@example.com")


async def test_joined_ends_a_suspension(sandbox: Sandbox, thrive: ThriveClient) -> None:
    await thrive.provisioning.user_suspended("E00001", end_date=date(2026, 1, 31))
    assert not sandbox.state.user("E00001").account_view()["active"]
    await thrive.provisioning.user_joined(ADA)
    account = sandbox.state.user("E00001").account_view()
    assert (account["active"], account["endDate"], account["firstName"]) == (True, None, "Ada")


async def test_joined_creates_updated_changes_and_deleted_deletes(sandbox: Sandbox, thrive: ThriveClient) -> None:
    await thrive.provisioning.user_joined(UserCreate(ref="N-1", first_name="A", last_name="B", login_method="ref"))
    await thrive.provisioning.user_updated("N-1", UserUpdate(last_name="C"))
    user = sandbox.state.user("N-1")
    assert (user["firstName"], user["lastName"], user["email"]) == ("A", "C", None)
    await thrive.provisioning.user_deleted("N-1")
    assert user["deleted"]


async def test_each_call_sends_its_own_event_with_its_own_time(sandbox: Sandbox, thrive: ThriveClient) -> None:
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    for _ in range(2):
        await thrive.provisioning.user_suspended("E00001")
    first, second = (entry.body for entry in sandbox.requests)
    assert UUID(first["id"]) != UUID(second["id"])
    assert first["timestamp"].endswith("Z")
    assert before <= datetime.fromisoformat(first["timestamp"]) <= datetime.now(UTC)


@pytest.mark.parametrize("repeated", ["applied", "ignored"])
async def test_a_repeat_after_a_lost_answer_is_the_same_event(repeated: Any, clock: Any) -> None:
    async with Sandbox(20, clock=clock, repeated_event=repeated) as sandbox, sandbox.client() as thrive:
        sandbox.faults.add("close_after", times=2)
        await thrive.provisioning.user_suspended("E00001")
        assert len(sandbox.requests) == 3
        assert len({entry.raw for entry in sandbox.requests}) == len(sandbox.state.events) == 1
        assert sandbox.state.user("E00001")["status"] == "inactive"


async def test_a_refused_repeat_does_not_count_as_success(clock: Any) -> None:
    """A 409 may also mean that the e-mail address is taken: nothing says which it is."""
    async with Sandbox(20, clock=clock, repeated_event="conflict") as sandbox, sandbox.client() as thrive:
        sandbox.faults.add("close_after")
        with pytest.raises(ConflictError) as raised:
            await thrive.provisioning.user_suspended("E00001")
        assert raised.value.attempts == 2
        assert raised.value.maybe_applied


@pytest.mark.parametrize("status", [200, 201, 202, 204])
@pytest.mark.parametrize("body", [True, False])
async def test_any_2xx_is_success(status: Any, body: bool) -> None:
    async with Sandbox(20, event_status=status, event_body=body) as sandbox, sandbox.client() as thrive:
        await thrive.provisioning.user_suspended("E00001")
        assert len(sandbox.requests) == 1


async def test_a_2xx_without_json_is_success(sandbox: Sandbox, thrive: ThriveClient) -> None:
    sandbox.faults.add("wrong_shape", body=b"OK")
    await thrive.provisioning.user_suspended("E00001")
    assert len(sandbox.requests) == 1


async def test_an_unknown_user_is_an_error_if_thrive_says_so(sandbox: Sandbox, thrive: ThriveClient) -> None:
    with pytest.raises(NotFoundError):
        await thrive.provisioning.user_deleted("nobody")
    async with Sandbox(20, unknown_event_user=200) as lenient, lenient.client() as other:
        await other.provisioning.user_deleted("nobody")


async def test_invalid_arguments_are_not_sent(sandbox: Sandbox, thrive: ThriveClient) -> None:
    provisioning: Any = thrive.provisioning
    with pytest.raises(TypeError, match=r"user_joined takes a thrive_async.models.UserCreate, not a UserUpdate"):
        await provisioning.user_joined(UserUpdate())
    with pytest.raises(TypeError, match=r"user_updated takes a thrive_async.models.UserUpdate, not a dict"):
        await provisioning.user_updated("E00001", {})
    with pytest.raises(ValueError, match='a user needs an email, unless login_method is "ref"'):
        await provisioning.user_joined(UserCreate(ref="N-1", first_name="A", last_name="B"))
    with pytest.raises(ValueError, match="ref"):
        await provisioning.user_deleted("")
    for blank in ("", " \t"):
        # Deleting is for good.
        with pytest.raises(ValueError, match="ref"):
            await thrive.provisioning.user_deleted(blank)
    with pytest.raises(ValueError, match="end_date"):
        await provisioning.user_suspended("E00001", end_date=datetime(2026, 1, 31))  # noqa: DTZ001
    assert not sandbox.requests


@pytest.mark.parametrize(
    ("scopes", "asked"),
    [
        (("api/all",), ["api/all"]),
        (("api/webhooks",), ["api/webhooks"]),
        (("api/read", "api/write"), ["api/read api/write", "api/webhooks"]),
        ((), [None]),
    ],
)
async def test_a_token_for_events_is_fetched_only_if_the_clients_own_is_not_enough(
    sandbox: Sandbox, scopes: tuple[str, ...], asked: list[str]
) -> None:
    oauth = sandbox.oauth
    credentials = ClientCredentials(oauth.client_id, oauth.client_secret.reveal(), scopes)
    async with sandbox.client(credentials=credentials) as thrive:
        if scopes != ("api/webhooks",):
            await thrive.users.get_by_ref("E00001")
        for _ in range(2):
            await thrive.provisioning.user_suspended("E00001")
    assert [entry.body.get("scope") for entry in sandbox.requests.of("createAccessToken")] == asked


@pytest.mark.parametrize("region", Region)
async def test_the_token_for_events_comes_from_the_webhooks_host_of_the_region(region: Region) -> None:
    """Inferred: Thrive names two token hosts, and says that one of them is for webhooks."""
    asked: list[str] = []

    async def answered(call: Any) -> Any:
        asked.append(call.base_url)
        raise ConnectionFailed("down", operation="createAccessToken", attempts=1, maybe_applied=False)

    for scopes, hosts in (
        ("api/all", [region.api_url, region.webhooks_url]),
        ("api/webhooks", [region.webhooks_url, region.webhooks_url]),
    ):
        transport = ThriveClient("tenant", ClientCredentials("id", "secret", scopes), region=region)._transport
        transport._answered = answered  # type: ignore[method-assign]
        for authorizer in (transport._authorizer, transport.webhooks_authorizer):
            with pytest.raises(ConnectionFailed):
                await authorizer.header()
        assert asked == hosts
        asked.clear()


def test_an_api_key_is_sent_with_events_too() -> None:
    transport = ThriveClient("tenant", ApiKey("key"))._transport
    assert transport.webhooks_authorizer is transport._authorizer
