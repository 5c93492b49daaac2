"""Users are found by their own names."""

from hypothesis import given
from hypothesis import strategies as st

from thrive_async.sandbox import Sandbox

STATE = Sandbox(50).state


@given(name=st.text(), spelling=st.sampled_from([str.lower, str.upper, str.title]))
def test_only_a_users_own_names_find_them(name, spelling):
    found = STATE.find_user(name)
    if found is not None:
        assert name in (found["id"], found["ref"]) or name.lower() == found["email"].lower()
    for user in STATE.users.values():
        if user["email"]:
            assert STATE.find_user(spelling(user["email"])) is user
