"""What the headers of a reply say about how long to wait."""

import time
from datetime import UTC, datetime

import pytest
from multidict import CIMultiDict

from thrive_async._http.headers import retry_after

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "Thu, 01 Jan 2026 14:00:07 +0200"}, 7.0),
        ({"RateLimit-Reset": "7"}, 7.0),
        ({"X-RateLimit-Reset": "7", "RateLimit-Reset": "9"}, 7.0),
        ({"X-RateLimit-Reset": str(int(NOW) + 7)}, 7.0),
        ({"Retry-After": "5", "X-RateLimit-Reset": "9"}, 5.0),
        ({"X-RateLimit-Reset": ""}, None),
        # What cannot be read does not hide what can.
        ({"Retry-After": "soon", "X-RateLimit-Reset": "30"}, 30.0),
        ({"Retry-After": "-5", "X-RateLimit-Reset": "", "RateLimit-Reset": "9"}, 9.0),
        ({"Retry-After": "-5"}, None),
        ({"Retry-After": "9" * 400}, None),
    ],
)
def test_a_pause_is_read_from_whichever_header_tells_it(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(CIMultiDict(headers), now=NOW) == seconds


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="the zone of a process cannot be changed here")
@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/Lima"])
def test_a_moment_without_a_zone_is_one_of_utc_wherever_this_machine_stands(
    zone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", zone)
        time.tzset()
        for moment in ("Thu, 01 Jan 2026 12:00:07 -0000", "Thu, 01 Jan 2026 12:00:07"):
            assert retry_after(CIMultiDict({"Retry-After": moment}), now=NOW) == 7.0
    time.tzset()
