"""Contents, activities, CPD, tags and skill levels, all read-only."""

from collections.abc import Callable, Mapping
from typing import Final

from thrive_async.sandbox.handlers.replies import Call, Refusal, Reply, array, json, page, since, within
from thrive_async.sandbox.state.records import Record
from thrive_async.sandbox.state.state import State

__all__ = ["HANDLERS"]


def list_contents(call: Call) -> Reply:
    """List contents. `types` overrides `omitTypes`."""
    contents = list(call.state.contents.values())
    if "types" in call.query:
        contents = [one for one in contents if one["type"] in call.query["types"]]
    elif "omitTypes" in call.query:
        contents = [one for one in contents if one["type"] not in call.query["omitTypes"]]
    return page(call, since(contents, call), largest=20)


def list_activities(call: Call) -> Reply:
    """List activities. `actions` overrides `omitActions`."""
    query = call.query
    activities = list(call.state.activities.values())
    if "actions" in query:
        activities = [one for one in activities if one["type"] in query["actions"]]
    elif "omitActions" in query:
        activities = [one for one in activities if one["type"] not in query["omitActions"]]
    if "contentIds" in query:
        activities = [one for one in activities if one["contextId"] in query["contentIds"]]
    if "contentType" in query:
        activities = [one for one in activities if one.get("contentType") == query["contentType"]]
    return page(call, within(activities, call, "date", "timestampFrom", "timestampTo"), largest=20)


def list_categories(call: Call) -> Reply:
    """List CPD categories."""
    return page(call, since(call.state.categories.values(), call))


def list_entries(call: Call) -> Reply:
    """List CPD entries."""
    return page(call, _entries(call))


def list_requirements(call: Call) -> Reply:
    """List CPD requirement summaries."""
    return page(call, since(call.state.requirements.values(), call))


def list_user_summaries(call: Call) -> Reply:
    """Sum the minutes of each user with entries in the range."""
    wanted = call.query.get("userIds")
    minutes: dict[str, int] = {}
    for entry in _entries(call):
        if wanted is None or entry["userId"] in wanted:
            minutes[entry["userId"]] = minutes.get(entry["userId"], 0) + entry["durationMinutes"]
    return page(call, [Record(userId=user, durationMinutes=total) for user, total in minutes.items()])


def list_tags(call: Call) -> Reply:
    """List tags."""
    tags = since(call.state.tags.values(), call)
    return page(call, tags) if call.settings.tags_shape == "envelope" else array(call, tags)


def list_skill_levels(call: Call) -> Reply:
    """List the skill levels."""
    return json(call.state.skill_levels)


def _entries(call: Call) -> list[Record]:
    return within(call.state.entries.values(), call, "entryDate", "entryDateFrom", "entryDateTo")


def _single(
    name: str, parameter: str, records: Callable[[State], Mapping[str, Record]], *, bare: bool = True
) -> Callable[[Call], Reply]:
    """Make a handler that returns one record by id. `bare` means that the 404 is documented without a body."""

    def get(call: Call) -> Reply:
        record = records(call.state).get(call.path[parameter].lower())
        if record is None:
            if bare and not call.settings.not_found_body:
                return Reply(404)
            raise Refusal(404, f"{name} not found")
        return json(record)

    return get


HANDLERS: Final[Mapping[str, Callable[[Call], Reply]]] = {
    "listContents": list_contents,
    "getContent": _single("Content", "id", lambda state: state.contents),
    "listActivities": list_activities,
    "getActivity": _single("Activity", "id", lambda state: state.activities),
    "listCpdCategories": list_categories,
    "getCpdCategory": _single("Category", "categoryId", lambda state: state.categories),
    "listCpdEntries": list_entries,
    "getCpdEntry": _single("Entry", "logEntryId", lambda state: state.entries),
    "listCpdRequirements": list_requirements,
    "getCpdRequirement": _single("Requirement", "audienceRequirementId", lambda state: state.requirements),
    "listCpdUserSummaries": list_user_summaries,
    "listTags": list_tags,
    "getTag": _single("Tag", "tagId", lambda state: state.tags, bare=False),
    "listSkillLevels": list_skill_levels,
}
