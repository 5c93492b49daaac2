"""The hour of every recipe: it comes once a day, in every time zone."""

from __future__ import annotations

import re
import zoneinfo
from datetime import UTC, datetime, time, timedelta

import pytest

from .conftest import RECIPES

CRON = r"^\W*(?:- )?(?:cron|schedule)?[:=]? ?\"?(\d+) (\d+) \* \* \*"
WRITTEN = {
    "systemd/thrive-plan.timer": r"^OnCalendar=\*-\*-\* 0(?P<hour>\d):(?P<minute>\d\d):00$",
    "cron/thrive.crontab": CRON,
    "github-actions/thrive-nightly.yml": CRON,
    "airflow/thrive_nightly.py": CRON,
    "kubernetes/plan.yaml": CRON,
}


def is_sound(moment: time, zone: str) -> bool:
    """Return whether this time of day comes once on every day of two years."""
    there = zoneinfo.ZoneInfo(zone)
    start = datetime(2026, 1, 1, moment.hour, moment.minute, tzinfo=there)
    for day in range(2 * 365):
        local = start + timedelta(days=day)
        # A time that comes twice has two offsets. One that is left out is another one after a journey through UTC.
        if local.utcoffset() != local.replace(fold=1).utcoffset() or local.astimezone(UTC).astimezone(there) != local:
            return False
    return True


@pytest.mark.parametrize("file", WRITTEN)
def test_each_recipe_starts_at_half_past_four(file: str) -> None:
    found = re.search(WRITTEN[file], (RECIPES / file).read_text(), re.MULTILINE)
    assert found is not None
    assert sorted(map(int, found.groups())) == [4, 30]


def test_half_past_four_comes_once_a_day_everywhere() -> None:
    zones = zoneinfo.available_timezones()
    if not zones:
        pytest.skip("this machine has no time zones")
    assert not [zone for zone in zones if not is_sound(time(4, 30), zone)]


@pytest.mark.parametrize(("hour", "zone"), [(1, "America/New_York"), (2, "Europe/Berlin"), (2, "America/New_York")])
def test_other_hours_do_not(hour: int, zone: str) -> None:
    """The test above can fail."""
    if zone not in zoneinfo.available_timezones():
        pytest.skip("this machine has no time zones")
    assert not is_sound(time(hour, 30), zone)
