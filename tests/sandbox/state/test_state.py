"""What a test arranges in the state is what the sandbox serves."""

import pytest

from thrive_async.sandbox import Sandbox


def test_users_are_added_by_names_of_either_kind():
    state = Sandbox(0).state
    ada = state.add_user(firstName="Ada", email="ADA+x@example.com", job_title="Analyst", shoe_size=39)
    assert (ada["firstName"], ada["shoeSize"], ada.account["jobTitle"]) == ("Ada", 39, "Analyst")
    assert ada["ref"] == "added-1"
    assert state.find_user("ada+X@example.com") is state.find_user("added-1") is state.users[ada["id"]] is ada
    assert state.add_user(active=False)["status"] == "inactive"
    for taken in ({"ref": "added-1"}, {"email": "ada+x@EXAMPLE.com"}, {"id": ada["id"]}):
        with pytest.raises(ValueError, match="another user has the"):
            state.add_user(**taken)
    with pytest.raises(KeyError):
        state.user("nobody")


def test_a_new_ref_or_email_is_found_at_once_and_the_old_one_no_more():
    state = Sandbox(0).state
    ada = state.add_user(ref="old", email="old@example.com")
    ada["ref"] = "new"
    ada.update(email="new@example.com")
    assert state.find_user("old") is state.find_user("old@example.com") is None
    assert state.find_user("new") is state.find_user("NEW@example.com") is ada
    ada["ref"] = None
    assert state.find_user("new") is None


async def test_what_a_test_changes_in_a_record_is_what_is_served(api):
    state = api.sandbox.state
    user = state.find_user("E00001")
    path = f"/rest/v1/user/{user['id']}"
    assert (await api("GET", path)).body["firstName"] == user["firstName"]
    user["firstName"] = "Changed"
    assert (await api("GET", path)).body["firstName"] == "Changed"
    user |= {"summary": "Hello"}
    user.setdefault("mood", "fine")
    assert (await api("GET", path)).body["mood"] == "fine"
    assert user.pop("mood") == "fine"
    assert user.pop("mood", None) is None
    user["positions"][0]["title"] = "Nested"
    user.changed()
    body = (await api("GET", path)).body
    assert body["positions"][0]["title"] == "Nested"
    assert body["summary"] == "Hello"
    assert "mood" not in body
    del user["summary"]
    assert "summary" not in user


def test_audiences_are_arranged_and_looked_at_by_id_or_reference():
    state = Sandbox(10).state
    crew = state.add_audience("night-crew", parent="emea", members=["E00001"])
    assert state.audiences["night-crew"] is state.audiences[crew["id"]] is crew
    assert crew["name"] == "Night Crew"
    assert "night-crew" in state.audiences
    assert "day-crew" not in state.audiences
    assert len(state.audiences) == len(list(state.audiences)) == 8
    assert crew in state.audiences["emea"].children
    assert len(crew.members) == 1
    assert "E00001" in crew.members
    assert "user1@example.com" in crew.members
    assert "nobody" not in crew.members
    assert 5 not in crew.members
    assert repr(crew.members) == "<1 members of night-crew>"
    assert crew.members.add("E00001") is False
    assert crew.members.discard("E00002") is False
    with pytest.raises(KeyError):
        crew.members.add("nobody")
    with pytest.raises(KeyError):
        state.add_audience("x", parent="nowhere")


def test_an_invalid_arrangement_changes_nothing():
    state = Sandbox(5).state
    before = (list(state.users), list(state.audiences))
    for mistake, error in (
        (lambda: state.add_audience("new", parent="nobody"), KeyError),
        (lambda: state.add_audience("new", members=["nobody"]), KeyError),
        (lambda: state.add_audience("sales-emea"), ValueError),
        (lambda: state.add_user(audiences=["sales-emea"]), ValueError),
    ):
        with pytest.raises(error):
            mistake()
        assert (list(state.users), list(state.audiences)) == before


def test_a_smart_audience_follows_its_rule():
    state = Sandbox(10).state
    rule = state.add_audience(
        "german", type="smart", api_controlled=False, rule=lambda user: user["languageCode"] == "de"
    )
    assert len(rule.members) == 0
    ada = state.add_user(ref="ada", languageCode="de")
    assert "ada" in rule.members
    ada["languageCode"] = "en"
    state.apply_rules(ada)
    assert "ada" not in rule.members
