"""Provisioning events in the sandbox: each does to the account what it says, and answers as the settings have it."""

import pytest

PATH = "/rest/v1/webhooks"
NEW = {"ref": "N-1", "firstName": "Ada", "lastName": "Lovelace", "email": "ada@example.com"}


def event(kind, **user):
    return {
        "id": "e-1",
        "timestamp": "2026-01-01T08:00:00Z",
        "eventType": f"user_{kind}",
        "content": {"user": user},
    }


async def test_joined_creates_a_user(api):
    assert (await api("POST", PATH, event("joined", **NEW))).status == 200
    user = api.sandbox.state.user("N-1")
    assert (user["firstName"], user["email"], user["status"]) == ("Ada", "ada@example.com", "active")


async def test_joined_reactivates_a_suspended_user_and_changes_the_fields_sent(api):
    user = api.sandbox.state.user("E00001")
    await api("POST", PATH, event("suspended", ref="E00001", endDate="2026-01-31"))
    assert user["status"] == "inactive"
    assert user.account["endDate"] == "2026-01-31T00:00:00.000Z"
    assert "E00001" not in api.sandbox.state.audiences["all-staff-smart"].members

    await api("POST", PATH, event("joined", ref="E00001", jobTitle="Analyst"))
    assert user["status"] == "active"
    assert user.account["endDate"] is None
    assert user.account["jobTitle"] == user["positions"][0]["title"] == "Analyst"
    assert "E00001" in api.sandbox.state.audiences["all-staff-smart"].members


async def test_updated_changes_and_deleted_obfuscates(api):
    user = api.sandbox.state.user("E00001")
    await api("POST", PATH, event("updated", ref="E00001", firstName="Grace"))
    assert user["firstName"] == "Grace"
    await api("POST", PATH, event("deleted", ref="E00001"))
    assert user["deleted"]
    assert "E00001" not in str(user)


async def test_an_unknown_user_is_404_or_ignored_as_set(open_api):
    for status in (404, 200):
        api = await open_api(unknown_event_user=status)
        for kind in ("updated", "suspended", "deleted"):
            assert (await api("POST", PATH, event(kind, ref="nobody"))).status == status


async def test_a_repeated_event_is_applied_ignored_or_refused_as_set(open_api):
    for choice, status, name in (("applied", 200, "Two"), ("ignored", 200, "One"), ("conflict", 409, "One")):
        api = await open_api(repeated_event=choice)
        assert (await api("POST", PATH, event("updated", ref="E00001", firstName="One"))).status == 200
        assert (await api("POST", PATH, event("updated", ref="E00001", firstName="Two"))).status == status
        assert api.sandbox.state.user("E00001")["firstName"] == name


async def test_a_refused_event_is_not_remembered(open_api):
    api = await open_api(repeated_event="conflict")
    assert (await api("POST", PATH, event("deleted", ref="nobody"))).status == 404
    assert (await api("POST", PATH, event("deleted", ref="E00001"))).status == 200


async def test_joining_twice_updates_or_conflicts_as_set(open_api):
    for choice, status in (("updated", 200), ("conflict", 409)):
        api = await open_api(joined_twice=choice)
        assert (await api("POST", PATH, event("joined", ref="E00001", firstName="Grace"))).status == status
        assert (api.sandbox.state.user("E00001")["firstName"] == "Grace") is (status == 200)


async def test_someone_who_never_logged_in_stays_new_when_they_join_again(api):
    new = next(user for user in api.sandbox.state.users.values() if user["status"] == "new")
    await api("POST", PATH, event("joined", ref=new["ref"]))
    assert new["status"] == "new"


async def test_a_new_user_needs_names_and_an_email_of_their_own(api):
    refused = await api("POST", PATH, event("joined", ref="N-1", email="ada@example.com"))
    assert (refused.status, sorted(refused.body["message"])) == (
        422,
        ["$.content.user.firstName", "$.content.user.lastName"],
    )
    assert (await api("POST", PATH, event("joined", **{**NEW, "email": "USER1@example.com"}))).status == 409
    assert api.sandbox.state.by_ref("N-1") is None


async def test_a_taken_email_leaves_a_suspended_user_suspended(api):
    await api("POST", PATH, event("suspended", ref="E00001"))
    assert (await api("POST", PATH, event("joined", ref="E00001", email="user2@example.com"))).status == 409
    assert api.sandbox.state.user("E00001")["status"] == "inactive"


@pytest.mark.parametrize("status", [200, 201, 202, 204])
@pytest.mark.parametrize("body", [True, False])
async def test_every_plausible_reply_can_be_set(open_api, status, body):
    api = await open_api(event_status=status, event_body=body)
    answer = await api("POST", PATH, event("updated", ref="E00001", firstName="Grace"))
    assert answer.status == status
    assert bool(answer.raw) is (body and status != 204)


async def test_a_token_needs_the_scope_of_webhooks(api):
    for scope, status in (("api/webhooks", 200), ("api/all", 200), ("api/write", 403)):
        token = (await api.token(scope=scope)).body["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        answer = await api("POST", PATH, event("updated", ref="E00001", firstName="Grace"), headers=headers)
        assert answer.status == status
