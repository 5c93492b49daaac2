"""The data that a sandbox starts with."""

import orjson
import pytest

from thrive_async.sandbox import Sandbox


def everything(sandbox):
    state = sandbox.state
    return [
        [user.wire() + user.wire("account") for user in state.users.values()],
        [one.wire() + orjson.dumps([list(one.members), one.managers]) for one in state.audiences.values()],
        [list(each.values()) for each in (state.contents, state.activities, state.tags, state.entries)],
        [list(each.values()) for each in (state.categories, state.requirements, state.learning.assignments)],
        [list(each.values()) for each in (state.learning.enrolments, state.learning.completions)],
        [sandbox.tenant_id, sandbox.tokens.api_key, sandbox.tokens.client_secret],
    ]


def test_the_same_seed_gives_the_same_data_and_another_seed_other_data():
    assert everything(Sandbox(200, seed=4)) == everything(Sandbox(200, seed=4))
    assert everything(Sandbox(200, seed=4))[0] != everything(Sandbox(200, seed=5))[0]


@pytest.mark.parametrize("users", [0, 1, 2, 5])
def test_a_sandbox_can_be_small(users):
    state = Sandbox(users).state
    assert len(state.users) == users
    assert len(state.audiences["sales-emea"].members) == users // 2


def test_half_of_the_users_are_in_sales():
    assert len(Sandbox(1000).state.audiences["sales-emea"].members) == 500


def test_the_data_is_as_untidy_as_real_data():
    users = list(Sandbox(200).state.users.values())
    assert any("+" in (user["email"] or "") for user in users)
    assert any((user["email"] or "x") != (user["email"] or "x").lower() for user in users)
    assert any(not user["firstName"].isascii() for user in users)
    for field in ("ref", "email", "lastName", "languageCode", "timeZone", "lastLogin", "summary"):
        assert any(user[field] is None for user in users), field
    assert any("/" in (user["ref"] or "") for user in users)
    assert any("pronouns" in user for user in users)
    assert "contentcurator" in {user["role"] for user in users}
    assert {"active", "inactive", "new", "expired"} == {user["status"] for user in users}
    assert any(not user["positions"] for user in users)
    assert {len(user["createdAt"]) for user in users} == {20, 24}
    assert all(user["ref"] or user["email"] for user in users)


def test_v1_and_v2_agree_on_the_dates_and_the_manager_of_a_seeded_user():
    state = Sandbox(200).state
    for user in state.users.values():
        for position in user["positions"]:
            assert position["startDate"] == user.account["startDate"]
            if position["manager"] is not None:
                assert state.users[position["manager"]["id"]]["ref"] == user.account["managerRef"]
