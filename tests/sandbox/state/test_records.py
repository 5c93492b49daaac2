"""How records write and read times."""

from datetime import UTC, datetime

import pytest

from thrive_async.sandbox.state.records import instant, later, timestamp


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-02T03:04:05Z", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2026-01-02t03:04:05z", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2016-12-31T23:59:60Z", datetime(2016, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ("2026-01-02", datetime(2026, 1, 2, tzinfo=UTC)),
        ("0000-01-01T00:00:00Z", datetime.min.replace(tzinfo=UTC)),
        ("never", None),
        ("", None),
        (None, None),
    ],
)
def test_dates_are_read_as_rfc_3339_has_them(text, moment):
    assert instant(text) == moment


def test_time_has_ends_and_nothing_fails_there():
    assert timestamp(datetime.fromisoformat("0001-01-01T00:00:00+05:00")) == "0001-01-01T00:00:00.000Z"
    assert later(datetime(9999, 12, 31, tzinfo=UTC), 5) == datetime.max.replace(tzinfo=UTC)
