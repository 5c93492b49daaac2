"""Members and managers: batches, their partial successes, and their limits."""

import pytest

MEMBERS = "/rest/v1/audiences/sales-emea/members"
MANAGERS = "/rest/v1/audiences/sales-emea/managers"


async def test_members_are_listed_in_pages_with_three_fields(api):
    answer = await api("GET", f"{MEMBERS}?perPage=15")
    assert answer.body["pagination"] == {"totalResults": 20, "totalPages": 2, "page": 1, "perPage": 15}
    state = api.sandbox.state
    expected = [
        {"userId": one, "reference": state.users[one]["ref"], "email": state.users[one]["email"]}
        for one in state.audiences["sales-emea"].members
    ]
    second = await api("GET", f"{MEMBERS}?perPage=15&page=2")
    assert answer.body["results"] + second.body["results"] == expected


async def test_users_are_found_by_id_ref_or_email_and_echoed_as_sent(open_api):
    api = await open_api(users=60)
    state = api.sandbox.state
    outside = [user for user in state.users.values() if user["id"] not in state.audiences["sales-emea"].members]
    outside = [user for user in outside if user["ref"] and user["email"]][:3]
    names = [outside[0]["id"], outside[1]["ref"], outside[2]["email"].upper()]
    answer = await api("POST", MEMBERS, names)
    assert answer.status == 200
    assert answer.body == {"success": {"count": 3, "entities": [{"reference": name} for name in names]}}
    assert all(user["id"] in state.audiences["sales-emea"].members for user in outside)


async def test_unknown_users_fail_with_a_reason_and_the_others_are_added(api):
    answer = await api("POST", MEMBERS, ["E00001", "nobody", "no.one@example.com"])
    assert answer.status == 207
    assert answer.body["success"]["count"] == 1
    assert answer.body["failure"] == {
        "count": 2,
        "entities": [
            {"reason": "User does not exist.", "reference": "nobody"},
            {"reason": "User does not exist.", "reference": "no.one@example.com"},
        ],
    }
    assert "E00001" in api.sandbox.state.audiences["sales-emea"].members


async def test_an_existing_member_counts_as_added_even_twice(api):
    await api("POST", MEMBERS, ["E00001"])
    size = len(api.sandbox.state.audiences["sales-emea"].members)
    answer = await api("POST", MEMBERS, ["E00001", "E00001"])
    assert answer.body["success"]["count"] == 2
    assert len(api.sandbox.state.audiences["sales-emea"].members) == size


@pytest.mark.parametrize("status", [207, 422])
async def test_an_all_failed_batch_answers_as_set(open_api, status):
    api = await open_api(all_failed_batch=status)
    answer = await api("POST", MEMBERS, ["nobody"])
    assert answer.status == status
    result = answer.body if status == 207 else answer.body["message"]
    assert result["success"] == {"count": 0, "entities": []}
    assert result["failure"]["count"] == 1


@pytest.mark.parametrize("method", ["POST", "PATCH"])
async def test_a_batch_holds_1_to_100(api, method):
    assert (await api(method, MEMBERS, [])).status == 422
    assert (await api(method, MEMBERS, ["E00001"] * 101)).status == 422
    assert (await api(method, MEMBERS, ["E00001"] * 100)).status == 200


async def test_deleted_users_do_not_exist(api):
    user = api.sandbox.state.find_user("E00001")
    await api("DELETE", "/rest/v2/users/ref/E00001")
    assert (await api("POST", MEMBERS, [user["id"]])).body["failure"]["count"] == 1


async def test_replace_leaves_exactly_these_members(api):
    answer = await api("PATCH", MEMBERS, ["E00002", "E00001", "nobody"])
    assert answer.status == 207
    members = api.sandbox.state.audiences["sales-emea"].members
    assert len(members) == 2
    assert "E00001" in members
    assert "E00002" in members


async def test_a_replace_that_fails_for_everyone_changes_nothing(api):
    members = api.sandbox.state.audiences["sales-emea"].members
    before = list(members)
    assert (await api("PATCH", MEMBERS, ["nobody"])).status == 207
    assert list(members) == before


async def test_remove_removes_one_member_or_says_that_there_is_none(api):
    await api("POST", MEMBERS, ["E00001"])
    assert (await api("DELETE", f"{MEMBERS}/user1%40example.com")).status == 200
    assert "E00001" not in api.sandbox.state.audiences["sales-emea"].members
    assert (await api("DELETE", f"{MEMBERS}/user1%40example.com")).status == 404
    assert (await api("DELETE", f"{MEMBERS}/nobody")).status == 404


async def test_an_unknown_audience_is_404_or_422_as_set(open_api):
    for choice in (404, 422):
        api = await open_api(unknown_audience=choice)
        assert (await api("GET", "/rest/v1/audiences/nowhere/members")).status == choice
        assert (await api("POST", "/rest/v1/audiences/nowhere/members", ["E00001"])).status == choice
        assert (await api("POST", "/rest/v1/audiences/nowhere/managers", [])).status == 422
        assert (await api("PATCH", "/rest/v1/audiences/nowhere/members", ["E00001"])).status == 404


async def test_members_of_a_child_are_members_of_its_structure(api):
    state = api.sandbox.state
    await api("POST", MEMBERS, ["E00040"])
    assert "E00040" in state.audiences["emea"].members
    await api("DELETE", f"{MEMBERS}/E00040")
    assert "E00040" in state.audiences["emea"].members
    await api("POST", MEMBERS, ["E00040"])
    await api("DELETE", "/rest/v1/audiences/emea/members/E00040")
    assert "E00040" not in state.audiences["sales-emea"].members


async def test_users_show_their_audiences_in_v1(api):
    state = api.sandbox.state
    user = state.add_user(ref="guest")
    await api("POST", MEMBERS, ["guest"])
    shown = (await api("GET", f"/rest/v1/user/{user['id']}")).body["audiences"]
    expected = {state.audiences[one]["id"] for one in ("emea", "sales-emea", "ui-structure", "all-staff-smart")}
    assert {one["id"] for one in shown} == expected


# Managers

GRANT = {"audienceManager": {"manageContent": True}, "peopleManager": {"insights": True}}


async def test_granted_permissions_are_read_with_the_rest_false(api):
    answer = await api("PATCH", MANAGERS, [{"reference": "E00001", "permissions": GRANT}])
    assert answer.body == {"success": {"count": 1, "entities": [{"reference": "E00001"}]}}
    managers = (await api("GET", MANAGERS)).body
    assert len(managers) == 1
    assert managers[0]["reference"] == "E00001"
    assert managers[0]["permissions"] == {
        "audienceManager": {"manageMembers": False, "manageContent": True, "assignments": False},
        "peopleManager": {"canViewLearnPage": False, "insights": True, "manage": False},
    }


async def test_only_structures_have_administrators(api):
    body = [{"reference": "E00001", "permissions": {"administrator": {"canAddAudienceManagers": True}}}]
    refused = await api("POST", MANAGERS, body)
    assert refused.status == 422
    assert "$[0].permissions.administrator" in refused.body["message"]
    assert (await api("PATCH", "/rest/v1/audiences/emea/managers", body)).status == 200
    managers = (await api("GET", "/rest/v1/audiences/emea/managers")).body
    assert managers[0]["permissions"]["administrator"] == {
        "canManageAudiences": False,
        "canAddAudienceManagers": True,
    }


async def test_read_only_permissions_cannot_be_written(api):
    body = [{"reference": "E00001", "permissions": {"audienceManager": {"manageMembers": True}}}]
    refused = await api("POST", MANAGERS, body)
    assert refused.status == 422
    assert "$[0].permissions.audienceManager" in refused.body["message"]


async def test_thrives_own_example_of_a_managers_body_is_accepted(api):
    """It has `userId` and `email` beside `reference`; the reference decides who is meant."""
    example = {"userId": "63f8c5361b9c80d3274be7ca", "reference": "E00001", "email": "test@thrivelearning.com"}
    for method in ("POST", "PATCH"):
        answer = await api(method, MANAGERS, [{**example, "permissions": GRANT}])
        assert answer.body == {"success": {"count": 1, "entities": [{"reference": "E00001"}]}}


async def test_adding_keeps_the_others_and_renews_the_permissions(api):
    before = len((await api("GET", MANAGERS)).body)
    grants = [{"reference": "E00005", "permissions": GRANT}, {"reference": "nobody", "permissions": {}}]
    answer = await api("POST", MANAGERS, grants)
    assert answer.status == 207
    await api("POST", MANAGERS, [{"reference": "E00005", "permissions": {}}])
    managers = (await api("GET", MANAGERS)).body
    assert len(managers) == before + 1
    assert managers[-1]["permissions"]["audienceManager"]["manageContent"] is False


async def test_removing_a_manager_and_a_user_who_is_not_a_manager(api):
    await api("POST", MANAGERS, [{"reference": "E00005", "permissions": {}}])
    assert (await api("DELETE", f"{MANAGERS}/E00005")).status == 200
    assert (await api("DELETE", f"{MANAGERS}/E00005")).status == 404
    assert (await api("DELETE", f"{MANAGERS}/nobody")).status == 404


async def test_a_deleted_user_manages_nothing(api):
    await api("POST", MANAGERS, [{"reference": "E00005", "permissions": {}}])
    await api("DELETE", "/rest/v2/users/ref/E00005")
    assert "E00005" not in str((await api("GET", MANAGERS)).body)
