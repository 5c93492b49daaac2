"""Users: v1 reads, v2 writes, and what each does to the other."""

from urllib.parse import quote

import pytest

NEW = {"ref": "new/1", "firstName": "Zoë", "lastName": "Łaski", "email": "zoe+x@example.com"}


async def test_search_pages_through_all_users_in_one_order(api):
    first = (await api("GET", "/rest/v1/users?perPage=25")).body
    second = (await api("GET", "/rest/v1/users?perPage=25&page=2")).body
    assert first["pagination"] == {"totalResults": 40, "totalPages": 2, "page": 1, "perPage": 25}
    assert second["pagination"]["page"] == 2
    ids = [user["id"] for user in first["results"] + second["results"]]
    assert ids == list(api.sandbox.state.users)


async def test_a_page_past_the_last_is_empty_or_not_found_as_set(open_api):
    empty = await (await open_api())("GET", "/rest/v1/users?page=9")
    assert (empty.status, empty.body["results"]) == (200, [])
    refused = await (await open_api(past_last_page="not_found"))("GET", "/rest/v1/users?page=9")
    assert refused.status == 404


async def test_the_first_page_of_nothing_is_never_an_error(open_api):
    api = await open_api(users=0, past_last_page="not_found")
    answer = await api("GET", "/rest/v1/users")
    assert answer.body == {"results": [], "pagination": {"totalResults": 0, "totalPages": 0, "page": 1, "perPage": 100}}


@pytest.mark.parametrize(
    ("query", "keeps"),
    [
        ("status=inactive", lambda user: user["status"] == "inactive"),
        ("statuses=new,inactive", lambda user: user["status"] in ("new", "inactive")),
        ("omitStatuses=active", lambda user: user["status"] != "active"),
        ("updatedSince=2025-12-01T00:00:00Z", lambda user: user["updatedAt"] >= "2025-12-01"),
        ("statuses=active&updatedSince=2025-12-01T00:00:00%2B01:00", None),
    ],
)
async def test_filters_keep_what_matches_and_nothing_else(api, query, keeps):
    found = (await api("GET", f"/rest/v1/users?perPage=1000&{query}")).body["results"]
    users = list(api.sandbox.state.users.values())
    if keeps is None:
        assert found
        assert all(user["status"] == "active" and user["updatedAt"] >= "2025-11-30T23" for user in found)
    else:
        assert [user["id"] for user in found] == [user["id"] for user in users if keeps(user)]
        assert 0 < len(found) < len(users)


async def test_per_page_above_the_maximum_is_refused_or_clamped_as_set(open_api):
    refused = await (await open_api())("GET", "/rest/v1/users?perPage=1001")
    assert refused.status == 400
    assert "query.perPage" in refused.body["message"]
    clamped = await (await open_api(per_page_clamp=10))("GET", "/rest/v1/users?perPage=5000")
    assert clamped.body["pagination"]["perPage"] == 10
    assert len(clamped.body["results"]) == 10


async def test_a_user_is_found_by_id_and_by_ref_each_in_its_place(api):
    user = next(iter(api.sandbox.state.users.values()))
    by_id = await api("GET", f"/rest/v1/user/{user['id']}")
    by_ref = await api("GET", f"/rest/v1/users/ref/{user['ref']}")
    assert by_id.body["compliance"] == user["compliance"]
    assert set(by_ref.body) == set(
        "id ref firstName lastName email role status positions additionalFields languageCode".split()  # noqa: SIM905
    )
    assert (await api("GET", f"/rest/v1/user/{user['ref']}")).status == 404
    assert (await api("GET", f"/rest/v1/users/ref/{user['id']}")).status == 404


async def test_every_odd_ref_is_reachable_when_it_is_percent_encoded(open_api):
    api = await open_api(users=100)
    refs = [user["ref"] for user in api.sandbox.state.users.values() if user["ref"] is not None]
    odd = [ref for ref in refs if not ref.isalnum()]
    assert len(odd) >= 8
    for ref in odd:
        assert (await api("GET", f"/rest/v1/users/ref/{quote(ref, safe='')}")).body["ref"] == ref


async def test_a_created_user_shows_in_v1_in_the_other_shape(api):
    manager = api.sandbox.state.find_user("E00001")
    body = {
        **NEW,
        "jobTitle": "Analyst",
        "managerRef": "E00001",
        "startDate": "2026-02-03",
        "sso": True,
        "additionalFields": {"a": 1},
    }
    created = await api("POST", "/rest/v2/users", body)
    assert created.status == 201
    account = created.body
    assert account["active"] is True
    assert account["sso"] is True
    assert account["startDate"] == "2026-02-03T00:00:00.000Z"
    assert account["loginMethod"] == "email"
    assert "status" not in account
    user = (await api("GET", f"/rest/v1/user/{account['id']}")).body
    assert user["status"] == "active"
    assert user["singleSignOn"] is True
    assert user["positions"][0]["title"] == "Analyst"
    assert user["positions"][0]["manager"]["id"] == manager["id"]
    assert user["additionalFields"] == {"a": 1}
    assert "active" not in user


async def test_create_status_is_as_set(open_api):
    assert (await (await open_api(create_status=200))("POST", "/rest/v2/users", NEW)).status == 200


async def test_ref_and_email_must_be_new_and_email_ignores_case(api):
    await api("POST", "/rest/v2/users", NEW)
    assert (await api("POST", "/rest/v2/users", {**NEW, "email": "other@example.com"})).status == 409
    assert (await api("POST", "/rest/v2/users", {**NEW, "ref": "x", "email": "ZOE+x@Example.com"})).status == 409
    assert len(api.sandbox.state.users) == 41


async def test_an_email_is_needed_unless_login_is_by_ref(api):
    body = {name: value for name, value in NEW.items() if name != "email"}
    assert (await api("POST", "/rest/v2/users", body)).status == 422
    created = await api("POST", "/rest/v2/users", {**body, "loginMethod": "ref"})
    assert created.body["email"] is None


async def test_update_changes_the_fields_sent_and_null_clears(api):
    await api("POST", "/rest/v2/users", {**NEW, "jobTitle": "Analyst", "languageCode": "pl-pl"})
    answer = await api("PATCH", "/rest/v2/users/ref/new%2F1", {"jobTitle": None, "firstName": "Zoey"})
    assert answer.status == 200
    assert answer.body["jobTitle"] is None
    assert answer.body["firstName"] == "Zoey"
    assert answer.body["languageCode"] == "pl-pl"
    assert answer.body["updatedAt"] >= answer.body["createdAt"]


async def test_update_cannot_take_another_users_email_nor_drop_one_that_is_the_login(api):
    await api("POST", "/rest/v2/users", NEW)
    taken = api.sandbox.state.find_user("E00001")["email"]
    assert (await api("PATCH", "/rest/v2/users/ref/new%2F1", {"email": taken})).status == 409
    assert (await api("PATCH", "/rest/v2/users/ref/new%2F1", {"email": None})).status == 422
    assert (await api("PATCH", "/rest/v2/users/ref/new%2F1", {"email": NEW["email"]})).status == 200
    both = {"email": None, "loginMethod": "ref"}
    assert (await api("PATCH", "/rest/v2/users/ref/new%2F1", both)).status == 200
    assert api.sandbox.state.find_user(NEW["email"]) is None


async def test_writes_to_an_unknown_ref_are_not_found(api):
    assert (await api("PATCH", "/rest/v2/users/ref/nobody", {"firstName": "A"})).status == 404
    assert (await api("PATCH", "/rest/v2/users/ref/nobody/suspend")).status == 404
    assert (await api("DELETE", "/rest/v2/users/ref/nobody")).status == 404


async def test_suspending_makes_the_v1_user_inactive_and_takes_them_from_smart_audiences(api):
    await api("POST", "/rest/v2/users", NEW)
    everyone = api.sandbox.state.audiences["all-staff-smart"]
    assert "new/1" in everyone.members
    answer = await api("PATCH", "/rest/v2/users/ref/new%2F1/suspend", {"endDate": "2026-03-01"})
    assert answer.body["active"] is False
    assert answer.body["endDate"] == "2026-03-01T00:00:00.000Z"
    found = await api("GET", "/rest/v1/users?status=inactive&perPage=1000")
    assert answer.body["id"] in [user["id"] for user in found.body["results"]]
    assert "new/1" not in everyone.members


async def test_suspending_needs_no_body(api):
    answer = await api("PATCH", "/rest/v2/users/ref/E00001/suspend")
    assert answer.body["endDate"] is not None


async def test_deleting_obfuscates_and_keeps_completions(api):
    state = api.sandbox.state
    user = state.find_user("E00001")
    before = await api("GET", f"/rest/v1/learning/completions?userId={user['id']}")
    assert before.body
    answer = await api("DELETE", "/rest/v2/users/ref/E00001")
    assert (answer.status, answer.body) == (200, {"success": True})
    shown = (await api("GET", f"/rest/v1/user/{user['id']}")).body
    assert shown["deleted"] is True
    assert shown["email"] is shown["ref"] is None
    assert "user1@example.com" not in str(shown)
    assert shown["audiences"] == []
    assert state.find_user("E00001") is None
    after = await api("GET", f"/rest/v1/learning/completions?userId={user['id']}")
    assert after.body == before.body


@pytest.mark.parametrize(
    ("reply", "status", "body"),
    [("string", 200, "done"), ("null", 200, None), ("empty", 200, None), ("no_content", 204, None)],
)
async def test_the_reply_to_a_delete_is_as_set(open_api, reply, status, body):
    answer = await (await open_api(delete_reply=reply))("DELETE", "/rest/v2/users/ref/E00001")
    assert (answer.status, answer.body) == (status, body)


async def test_deleted_users_can_be_hidden(open_api):
    api = await open_api(deleted_users="hidden")
    await api("DELETE", "/rest/v2/users/ref/E00001")
    assert (await api("GET", "/rest/v1/users")).body["pagination"]["totalResults"] == 39


async def test_a_deleted_users_extra_fields_go_too(api):
    user = next(user for user in api.sandbox.state.users.values() if "pronouns" in user)
    await api("DELETE", f"/rest/v2/users/ref/{quote(user['ref'], safe='')}")
    assert "pronouns" not in user


async def test_v2_errors_can_have_another_shape(open_api):
    answer = await (await open_api(v2_error_shape="v2"))("PATCH", "/rest/v2/users/ref/nobody", {"firstName": "A"})
    assert answer.body == {"code": "not_found", "message": "User not found."}


async def test_tags_must_exist_before_they_are_put_on_a_user(api):
    user = api.sandbox.state.find_user("E00003")
    path = f"/rest/v1/users/{user['id']}/tags"
    refused = await api("POST", path, {"tags": ["leadership", "juggling"]})
    assert refused.status == 422
    assert refused.body["message"] == {"juggling": "Tag does not exist."}
    assert user["tags"]["skills"] == []
    done = await api("POST", path, {"tags": ["leadership", "C++"]})
    assert done.body == {"status": 200, "message": "2 tag(s) added to the user."}
    assert (await api("GET", f"/rest/v1/user/{user['id']}")).body["tags"] == {"skills": ["leadership", "C++"]}
    tag = api.sandbox.state.tag("C++")
    assert user["id"] in (await api("GET", f"/rest/v1/tags/{tag['id']}")).body["skills"]
    body = {"op": "remove", "path": "tags", "value": ["C++", "sales"]}
    assert (await api("PATCH", path, body)).status == 200
    assert (await api("GET", f"/rest/v1/user/{user['id']}")).body["tags"] == {"skills": ["leadership"]}
    assert user["id"] not in (await api("GET", f"/rest/v1/tags/{tag['id']}")).body["skills"]


async def test_skills_accept_any_level_or_only_the_tenants_as_set(open_api):
    """Thrive documents no check of levels but the minimum, and third parties write 1, 2 and 3."""
    api = await open_api()
    path = f"/rest/v1/users/{api.sandbox.state.find_user('E00003')['id']}/skills"
    small = {"op": "update", "path": "skills", "value": [{"tagName": "sales", "level": 2, "targetLevel": 3}]}
    assert (await api("PATCH", path, small)).status == 200

    api = await open_api(unlisted_skill_level="refused")
    user = api.sandbox.state.find_user("E00003")
    path = f"/rest/v1/users/{user['id']}/skills"
    levels = (await api("GET", "/rest/v1/skills/levels")).body
    assert [level["value"] for level in levels] == [1024, 2048, 4096]

    def body(level):
        value = [{"tagName": "sales", "level": level, "targetLevel": 4096}]
        return {"op": "update", "path": "skills", "value": value}

    refused = await api("PATCH", path, body(3))
    assert refused.status == 422
    assert "$.value[0].level" in refused.body["message"]
    assert (await api("PATCH", path, body(1024))).status == 200
    assert user.skill_levels == {"sales": {"level": 1024, "targetLevel": 4096}}
    assert (await api("PATCH", path, body(-1))).status == 200


async def test_tags_of_an_unknown_user_are_not_found(api):
    assert (await api("POST", f"/rest/v1/users/{'0' * 24}/tags", {"tags": ["sales"]})).status == 404


async def test_audiences_of_a_user_are_objects_or_bare_ids_as_set(open_api):
    for choices, expected in ({}, {"id"}), ({"bare_audience_ids": True}, None):
        api = await open_api(**choices)
        user = api.sandbox.state.find_user("E00001")
        shown = (await api("GET", f"/rest/v1/user/{user['id']}")).body["audiences"]
        assert shown
        for audience in shown:
            assert (set(audience) if expected else type(audience)) == (expected or str)
