"""From verb and path to operation."""

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.raw_api import message
from thrive_async._generated.operations import OPERATIONS
from thrive_async.sandbox.server.routing import allowed, match


@pytest.mark.parametrize("path", ["/rest/v1/nothing", "/rest/v3/users", "/rest/v1/users//ref", "/rest/v1/user/%FF"])
async def test_an_unknown_path_is_not_found(api, path):
    answer = await api("GET", path)
    assert answer.status == 404
    assert message(answer) == "There is no such endpoint."


async def test_a_verb_that_the_path_does_not_know_is_refused_with_those_it_knows(api):
    answer = await api("PUT", "/rest/v1/audiences/emea")
    assert answer.status == 405
    assert answer.headers["Allow"] == "DELETE, GET, PATCH"


NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)


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
