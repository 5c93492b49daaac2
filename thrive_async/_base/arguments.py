"""What the arguments of methods are called: a mistake is told in the caller's words, and not in those of the wire."""

import re
from typing import Final

# By resource: where an argument is more, or less, than the wire name in snake case. A test reads the signatures.
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
    """Return the argument that a parameter of the path or the query is in Python; of a call by hand, as it is."""
    if not resource:
        return name
    return _OTHERWISE.get((resource, name)) or _HUMP.sub("_", name).lower()
