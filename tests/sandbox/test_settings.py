"""The choices of a sandbox: known, checked, documented."""

import pytest

from thrive_async import sandbox as package
from thrive_async.sandbox import Sandbox, Settings


@pytest.mark.parametrize(
    ("choices", "error"),
    [
        ({"colour": 1}, TypeError),
        ({"all_failed_batch": 200}, ValueError),
        ({"not_found_body": 1}, ValueError),
        ({"moved_keys": ("a", "a")}, ValueError),
        ({"per_page_clamp": 0}, ValueError),
        ({"rate_limit": -1}, ValueError),
        ({"latency": -1}, ValueError),
        ({"users": -1}, ValueError),
        ({"users": 1.5}, ValueError),
        ({"users": True}, ValueError),
        ({"port": "80"}, ValueError),
        ({"all_failed_batch": "422"}, ValueError),
        ({"moved_keys": "ab"}, ValueError),
        ({"moved_keys": (1, 2)}, ValueError),
        ({"per_page_clamp": 2.5}, ValueError),
        ({"journal_size": "all"}, ValueError),
        ({"rate_limit": True}, ValueError),
        ({"rate_limit": float("inf")}, ValueError),
        ({"token_lifetime": None}, ValueError),
        ({"latency": "1"}, ValueError),
        ({"latency": float("nan")}, ValueError),
    ],
)
def test_a_choice_that_is_not_offered_is_refused(choices, error):
    with pytest.raises(error):
        Sandbox(**choices)


def test_settings_come_whole_or_one_by_one():
    whole = Settings(create_status=200)
    assert Sandbox(0, settings=whole).settings == whole
    assert Sandbox(0, settings=whole, delete_reply="empty").settings == Settings(
        create_status=200, delete_reply="empty"
    )


def test_every_setting_is_in_the_table():
    import attrs

    table = package.__doc__ or ""
    apart = {"latency", "journal_size"}
    assert [field.name for field in attrs.fields(Settings) if field.name not in apart and field.name not in table] == []
