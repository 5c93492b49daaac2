"""The names of method arguments, so that an error uses your words instead of Thrive's."""

import re
from typing import Final

# Per resource, arguments with another name than the wire name in snake case. A test compares the signatures.
_OTHERWISE: Final = {
    ("users", "id"): "user_id",
    ("completions", "id"): "completion_id",
    ("contents", "id"): "content_id",
    ("activities", "id"): "activity_id",
    ("audiences", "audienceId"): "audience",
    ("members", "audienceId"): "audience",
    ("members", "userRef"): "user",
    ("managers", "audienceId"): "audience",
    ("managers", "userId"): "user",
    ("completions", "completedDateRangeStart"): "completed_from",
    ("completions", "completedDateRangeEnd"): "completed_to",
}
_HUMP: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def argument(resource: str, name: str) -> str:
    """Return the Python argument for a path or query parameter, or the parameter itself in a raw request."""
    if not resource:
        return name
    return _OTHERWISE.get((resource, name)) or _HUMP.sub("_", name).lower()
