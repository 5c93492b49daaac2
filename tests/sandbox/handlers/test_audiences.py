"""Audiences: who may change what, what moves do to members, and where references stand for ids."""

import pytest

REASON = "User is a member of another audience in the structure."


async def make(api, reference, parent=None, **fields):
    body = {"name": reference.title(), "reference": reference, **fields}
    if parent is not None:
        body["parentId"] = parent
    return await api("POST", "/rest/v1/audiences", body)


async def test_an_audience_has_a_parent_and_a_structure_has_none(api):
    structure = await make(api, "latam", category="structure")
    child = await make(api, "sales/latam", "latam", category="audience")
    assert (structure.status, child.status) == (201, 201)
    assert "parent" not in structure.body
    assert child.body["parent"] == {"name": "Latam", "reference": "latam", "id": structure.body["id"]}
    assert child.body["apiControlled"] is True
    assert child.body["type"] == "manual"


async def test_the_category_follows_from_the_parent_when_it_is_not_said(api):
    assert (await make(api, "one")).body["category"] == "structure"
    assert (await make(api, "two", "one")).body["category"] == "audience"
    assert (await make(api, "three", "")).body["category"] == "structure"


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"category": "structure", "parent": "emea"}, 422),
        ({"category": "audience"}, 422),
        ({"parent": "nowhere"}, 404),
        ({"parent": "sales-emea"}, 422),
        ({"parent": "ui-structure"}, 422),
    ],
)
async def test_children_live_in_api_controlled_structures_only(api, fields, status):
    assert (await make(api, "new", **fields)).status == status
    assert "new" not in api.sandbox.state.audiences


async def test_a_reference_is_unique_and_may_not_be_another_audiences_id(api):
    assert (await make(api, "emea")).status == 409
    assert (await make(api, api.sandbox.state.audiences["emea"]["id"])).status == 409


async def test_a_name_of_101_characters_is_refused(api):
    assert (await api("POST", "/rest/v1/audiences", {"name": "x" * 101})).status == 422
    assert (await api("POST", "/rest/v1/audiences", {"name": "x" * 100})).status == 201


async def test_references_resolve_wherever_ids_do(api):
    await make(api, "region 1/north")
    audience = api.sandbox.state.audiences["region 1/north"]
    by_id, by_reference = audience["id"], "region%201%2Fnorth"
    for tail in ("", "/members", "/managers"):
        one = await api("GET", f"/rest/v1/audiences/{by_id}{tail}")
        other = await api("GET", f"/rest/v1/audiences/{by_reference}{tail}")
        assert (one.status, one.body) == (other.status, other.body) == (200, one.body)
    assert (await make(api, "child", by_id)).body["parent"]["id"] == by_id
    assert (await api("GET", f"/rest/v1/assignments?audienceId={by_reference}")).body == []
    assert (await api("GET", "/rest/v1/assignments?audienceId=nowhere")).status == 404


async def test_listing_filters_by_control_and_by_update(api):
    controlled = (await api("GET", "/rest/v1/audiences?apiControlled=true")).body["results"]
    others = (await api("GET", "/rest/v1/audiences?apiControlled=false")).body["results"]
    assert {one["reference"] for one in controlled} == {"emea", "sales-emea", "apac", "sales-apac"}
    assert {one["reference"] for one in others} == {"ui-structure", "ui-made", "all-staff-smart"}
    await make(api, "fresh")
    found = (await api("GET", "/rest/v1/audiences?updatedSince=2026-01-02T00:00:00Z")).body["results"]
    assert [one["reference"] for one in found] == ["fresh"]


async def test_per_page_overrides_its_older_name_limit(api):
    assert len((await api("GET", "/rest/v1/audiences?limit=2")).body["results"]) == 2
    assert len((await api("GET", "/rest/v1/audiences?limit=2&perPage=3")).body["results"]) == 3
    assert (await api("GET", "/rest/v1/audiences?limit=101")).status == 400


async def test_paths_may_end_in_a_slash(api):
    assert (await api("PATCH", "/rest/v1/audiences/sales-emea/", {"name": "Selling"})).body["name"] == "Selling"


async def test_a_rename_shows_on_the_children(api):
    answer = await api("PATCH", "/rest/v1/audiences/emea", {"name": "Europe", "reference": "europe"})
    assert answer.status == 200
    assert answer.body["memberOperations"] is None
    child = (await api("GET", "/rest/v1/audiences/sales-emea")).body
    assert child["parent"]["name"] == "Europe"
    assert (await api("GET", "/rest/v1/audiences/emea")).status == 404


async def test_a_rename_cannot_take_anothers_reference_but_may_keep_its_own(api):
    assert (await api("PATCH", "/rest/v1/audiences/emea", {"reference": "apac"})).status == 409
    assert (await api("PATCH", "/rest/v1/audiences/emea", {"reference": "emea"})).status == 200


@pytest.mark.parametrize(("audience", "status"), [("ui-made", 409), ("all-staff-smart", 422), ("ui-structure", 409)])
async def test_audiences_made_in_the_interface_refuse_every_write(api, audience, status):
    before = list(api.sandbox.state.audiences[audience].members)
    path = f"/rest/v1/audiences/{audience}"
    grant = [{"reference": "E00001", "permissions": {}}]
    for method, tail, body in (
        ("PATCH", "", {"name": "Mine"}),
        ("DELETE", "", None),
        ("POST", "/members", ["E00040"]),
        ("PATCH", "/members", ["E00040"]),
        ("DELETE", "/members/E00001", None),
        ("POST", "/managers", grant),
        ("PATCH", "/managers", grant),
        ("DELETE", "/managers/E00001", None),
    ):
        assert (await api(method, path + tail, body)).status == status, (method, tail)
    assert list(api.sandbox.state.audiences[audience].members) == before
    assert (await api("GET", path + "/members")).status == 200


async def test_a_structure_with_children_cannot_be_deleted(api):
    assert (await api("DELETE", "/rest/v1/audiences/emea")).status == 409
    assert (await api("DELETE", "/rest/v1/audiences/sales-emea")).status == 200
    assert (await api("DELETE", "/rest/v1/audiences/emea")).status == 200
    assert (await api("DELETE", "/rest/v1/audiences/emea")).status == 404


async def test_a_deleted_audience_leaves_no_trace_on_users_and_assignments(api):
    state = api.sandbox.state
    audience = state.audiences["sales-emea"]
    members = [state.users[one] for one in audience.members]
    await api("DELETE", "/rest/v1/audiences/sales-emea")
    assert all(audience["id"] not in user.audience_ids for user in members)
    shown = (await api("GET", f"/rest/v1/user/{members[0]['id']}")).body
    assert {"id": audience["id"]} not in shown["audiences"]
    assert all(one["isDeleted"] for one in state.learning.assignments.values() if one["audienceId"] == audience["id"])


# Moves


async def test_a_move_carries_the_members_from_the_old_structure_to_the_new(api):
    state = api.sandbox.state
    sales, emea, apac = (state.audiences[one] for one in ("sales-emea", "emea", "apac"))
    members = list(sales.members)
    answer = await api("PATCH", "/rest/v1/audiences/sales-emea", {"parentId": "apac"})
    assert answer.status == 200
    assert answer.body["parent"]["reference"] == "apac"
    assert set(answer.body["memberOperations"]) == {"removed", "added"}
    for operation in answer.body["memberOperations"].values():
        assert operation["success"]["count"] == len(operation["success"]["entities"]) == len(members)
        assert "failure" not in operation
    assert list(sales.members) == members
    assert all(one in apac.members and one not in emea.members for one in members)
    assert sales.parent is apac
    assert sales not in emea.children


async def two_audiences_of_one_structure(api, shared, own):
    """`left` and `right` in `home`: with some members in both, some in `left` only."""
    state = api.sandbox.state
    state.add_audience("home", category="structure")
    state.add_audience("away", category="structure")
    names = [user["ref"] for user in state.users.values() if user["ref"]][: shared + own]
    state.add_audience("left", parent="home", members=names)
    state.add_audience("right", parent="home", members=names[:shared])
    return names


async def test_members_who_are_also_in_a_sibling_make_the_move_a_partial_success(api):
    names = await two_audiences_of_one_structure(api, shared=2, own=3)
    answer = await api("PATCH", "/rest/v1/audiences/left", {"parentId": "away"})
    assert answer.status == 207
    removed = answer.body["memberOperations"]["removed"]
    assert removed["success"]["count"] == 3
    assert removed["failure"] == {
        "count": 2,
        "entities": [{"reason": REASON, "reference": name} for name in names[:2]],
    }
    state = api.sandbox.state
    assert len(state.audiences["home"].members) == 2
    assert len(state.audiences["away"].members) == 5
    assert len(state.audiences["left"].members) == 5


@pytest.mark.parametrize("shape", ["operations", "bare", "message"])
async def test_a_move_is_refused_if_no_member_can_leave(open_api, shape):
    api = await open_api(refused_move_shape=shape)
    await two_audiences_of_one_structure(api, shared=2, own=0)
    answer = await api("PATCH", "/rest/v1/audiences/left", {"parentId": "away", "name": "Moved"})
    assert answer.status == 422
    body = answer.body
    result = {"operations": lambda: body["memberOperations"]["removed"], "bare": lambda: body}.get(
        shape, lambda: body["message"]
    )()
    assert result["success"] == {"count": 0, "entities": []}
    assert result["failure"]["count"] == 2
    left = api.sandbox.state.audiences["left"]
    assert left.parent["reference"] == "home"
    assert left["name"] == "Left"
    assert len(api.sandbox.state.audiences["away"].members) == 0


async def test_the_keys_of_a_move_are_as_set(open_api):
    api = await open_api(moved_keys=("oldParent", "newParent"))
    answer = await api("PATCH", "/rest/v1/audiences/sales-emea", {"parentId": "apac"})
    assert set(answer.body["memberOperations"]) == {"oldParent", "newParent"}


async def test_a_move_to_the_same_parent_changes_nothing(api):
    answer = await api("PATCH", "/rest/v1/audiences/sales-emea", {"parentId": "emea"})
    assert answer.status == 200
    assert answer.body["memberOperations"] is None


async def test_an_audience_that_is_not_moved_may_have_no_operations_at_all(open_api):
    api = await open_api(unmoved_operations="absent")
    answer = await api("PATCH", "/rest/v1/audiences/sales-emea", {"name": "New"})
    assert answer.body["name"] == "New"
    assert "memberOperations" not in answer.body


@pytest.mark.parametrize(
    ("audience", "parent", "status"),
    [("emea", "apac", 422), ("sales-emea", "sales-apac", 422), ("sales-emea", "nowhere", 404)],
)
async def test_impossible_moves_change_nothing(api, audience, parent, status):
    answer = await api("PATCH", f"/rest/v1/audiences/{audience}", {"parentId": parent})
    assert answer.status == status
    assert api.sandbox.state.audiences["sales-emea"].parent["reference"] == "emea"
