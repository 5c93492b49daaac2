"""What is only read: contents, activities, CPD, tags; every filter filters."""

import pytest


async def results(api, path):
    return (await api("GET", path)).body["results"]


@pytest.mark.parametrize("path", ["contents", "activities"])
async def test_pages_of_contents_and_activities_have_20_items_by_default(api, path):
    answer = await api("GET", f"/rest/v1/{path}")
    assert answer.body["pagination"]["perPage"] == len(answer.body["results"]) == 20
    everything = await results(api, f"/rest/v1/{path}?perPage=1000")
    assert everything == list(getattr(api.sandbox.state, path).values())


async def test_content_types_filter_and_types_win_over_omit_types(api):
    everything = await results(api, "/rest/v1/contents?perPage=1000")
    for query, keeps in (
        ("types=video,quiz", lambda one: one["type"] in ("video", "quiz")),
        ("omitTypes=video,quiz", lambda one: one["type"] not in ("video", "quiz")),
        ("types=video&omitTypes=video", lambda one: one["type"] == "video"),
        ("updatedSince=2025-12-01T00:00:00Z", lambda one: (one["updatedAt"] or one["createdAt"]) >= "2025-12"),
    ):
        found = await results(api, f"/rest/v1/contents?perPage=1000&{query}")
        assert found == [one for one in everything if keeps(one)], query
        assert 0 < len(found) < len(everything)


async def test_activities_filter_by_action_content_type_and_time(api):
    everything = await results(api, "/rest/v1/activities?perPage=1000")
    content = next(one["contextId"] for one in everything if one["contextId"])
    for query, keeps in (
        ("actions=viewed,liked", lambda one: one["type"] in ("viewed", "liked")),
        ("omitActions=viewed", lambda one: one["type"] != "viewed"),
        (f"contentIds={content}", lambda one: one["contextId"] == content),
        ("contentType=video", lambda one: one["contentType"] == "video"),
        ("timestampFrom=2025-11-15%2000:00:00", lambda one: one["date"] >= "2025-11-15"),
        ("timestampTo=2025-11-15+00:00:00", lambda one: one["date"] < "2025-11-15"),
    ):
        found = await results(api, f"/rest/v1/activities?perPage=1000&{query}")
        assert found == [one for one in everything if keeps(one)], query
        assert 0 < len(found) < len(everything), query


async def test_seeded_data_includes_odd_cases(api):
    activities = await results(api, "/rest/v1/activities?perPage=1000")
    assert {type(one["data"]["source"]) for one in activities} == {str, dict}
    assert {type(one["data"]["progresspercentage"]) for one in activities if one["type"] == "progressed"} == {str, int}
    assert "reacted" in {one["type"] for one in activities}
    contents = await results(api, "/rest/v1/contents?perPage=1000")
    assert "course" in {one["type"] for one in contents}
    assert None in {one["title"] for one in contents}


@pytest.mark.parametrize(
    ("path", "records", "field"),
    [
        ("contents", "contents", "id"),
        ("activity", "activities", "id"),
        ("cpdCategories", "categories", "categoryId"),
        ("cpdEntries", "entries", "logEntryId"),
        ("cpdRequirementSummaries", "requirements", "audienceRequirementId"),
        ("tags", "tags", "id"),
    ],
)
async def test_single_records_are_found_by_id_in_any_case(open_api, path, records, field):
    for with_body in (True, False):
        api = await open_api(not_found_body=with_body)
        record = next(iter(getattr(api.sandbox.state, records).values()))
        assert (await api("GET", f"/rest/v1/{path}/{record[field]}")).body == record
        assert (await api("GET", f"/rest/v1/{path}/{record[field].upper()}")).body == record
        missing = await api("GET", f"/rest/v1/{path}/{'0' * 24}")
        assert missing.status == 404
        assert bool(missing.raw) == (with_body or path == "tags")


async def test_cpd_entries_filter_by_date_or_moment(api):
    everything = await results(api, "/rest/v1/cpdEntries?perPage=1000")
    for query, keeps in (
        ("entryDateFrom=2025-06-01", lambda one: one["entryDate"] >= "2025-06-01"),
        ("entryDateTo=2025-06-01", lambda one: one["entryDate"] < "2025-06-02"),
        ("entryDateFrom=2025-06-01%2012:00:00", lambda one: one["entryDate"] >= "2025-06-01T12"),
    ):
        found = await results(api, f"/rest/v1/cpdEntries?perPage=1000&{query}")
        assert found == [one for one in everything if keeps(one)]
        assert 0 < len(found) < len(everything)


async def test_cpd_summaries_add_up_the_entries_of_the_range(api):
    span = "entryDateFrom=2025-03-01T00:00:00&entryDateTo=2025-09-01T00:00:00"
    found = await results(api, f"/rest/v1/cpdUserLogSummaries?perPage=1000&{span}")
    expected = {}
    for one in api.sandbox.state.entries.values():
        if "2025-03-01" <= one["entryDate"] < "2025-09-01":
            expected[one["userId"]] = expected.get(one["userId"], 0) + one["durationMinutes"]
    assert {one["userId"]: one["durationMinutes"] for one in found} == expected
    user = found[0]["userId"]
    assert await results(api, f"/rest/v1/cpdUserLogSummaries?{span}&userIds={user}") == found[:1]


async def test_cpd_summaries_need_their_range(api):
    answer = await api("GET", "/rest/v1/cpdUserLogSummaries?entryDateFrom=2025-03-01T00:00:00")
    assert answer.status == 400
    assert "entryDateTo" in answer.body["message"]


async def test_records_without_dates_are_updated_when_the_sandbox_changed_them(api):
    since = "updatedSince=2026-01-02T00:00:00Z"
    assert await results(api, f"/rest/v1/tags?{since}") == []
    assert await results(api, f"/rest/v1/cpdCategories?{since}") == []
    assert len(await results(api, "/rest/v1/cpdRequirementSummaries?updatedSince=2020-01-01T00:00:00Z")) == 2
    user = next(iter(api.sandbox.state.users))
    await api("POST", f"/rest/v1/users/{user}/tags", {"tags": ["excel"]})
    assert [one["tag"] for one in await results(api, f"/rest/v1/tags?{since}")] == ["excel"]


async def test_tags_are_paged_or_a_bare_array_as_set(open_api):
    api = await open_api(tags_shape="array")
    answer = await api("GET", "/rest/v1/tags?perPage=5&page=2")
    assert [one["tag"] for one in answer.body] == [one["tag"] for one in api.sandbox.state.tags.values()][5:10]


async def test_contents_can_be_added_and_used(api):
    state = api.sandbox.state
    content = state.add_content("Made for a test", type="video")
    state.add_activity(next(iter(state.users.values())), "liked", content, source="web")
    assert (await api("GET", f"/rest/v1/contents/{content['id']}")).body["title"] == "Made for a test"
    liked = await results(api, f"/rest/v1/activities?contentIds={content['id']}")
    assert liked[0]["data"] == {"source": "web"}
