"""The sandbox's parts that need no socket, on inputs of every kind."""

from urllib.parse import quote

from hypothesis import given
from hypothesis import strategies as st

from thrive_async._generated.operations import OPERATIONS
from thrive_async.sandbox import Sandbox
from thrive_async.sandbox.handlers import HANDLERS
from thrive_async.sandbox.server.engine import RateLimit
from thrive_async.sandbox.server.routing import allowed, match

NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)


def test_every_operation_has_a_handler_and_every_handler_an_operation():
    assert HANDLERS.keys() | {"createAccessToken"} == OPERATIONS.keys()


@given(operation=st.sampled_from(list(OPERATIONS.values())), data=st.data(), slash=st.sampled_from(["", "/"]))
def test_every_path_leads_to_its_operation_whatever_its_parameters_are(operation, data, slash):
    values = {name: data.draw(NAMES) for name in operation.path_parameters}
    path = operation.path.format(**{name: quote(value, safe="") for name, value in values.items()}) + slash
    assert match(operation.method, path) == (operation, values)
    assert operation.method in allowed(path)


@given(path=st.text())
def test_any_other_path_leads_nowhere_without_an_error(path):
    assert match("GET", "/elsewhere/" + path) is None
    assert allowed("/elsewhere/" + path) == []


@given(
    rate=st.floats(0.1, 1000),
    burst=st.integers(1, 50),
    gaps=st.lists(st.floats(0, 5), max_size=60),
)
def test_a_rate_limit_is_never_exceeded_and_its_wait_is_enough(rate, burst, gaps):
    limit, now = RateLimit(rate, burst, 0.0), 0.0
    for passed, gap in enumerate(gaps, 1):
        now += gap
        wait = limit.take(now)
        if wait:
            now += wait
            assert limit.take(now) == 0.0
        assert passed <= burst + rate * now + 1e-3


STATE = Sandbox(50).state


@given(name=st.text(), spelling=st.sampled_from([str.lower, str.upper, str.title]))
def test_any_string_may_be_asked_for_and_only_a_users_own_names_find_them(name, spelling):
    found = STATE.find_user(name)
    if found is not None:
        assert name in (found["id"], found["ref"]) or name.lower() == found["email"].lower()
    for user in STATE.users.values():
        if user["email"]:
            assert STATE.find_user(spelling(user["email"])) is user
