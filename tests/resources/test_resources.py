"""What each resource returns and refuses, against a sandbox on loopback."""

import pickle
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, date, datetime
from typing import Any

import pytest

from thrive_async import (
    ApiKey,
    ConflictError,
    NotFoundError,
    ThriveClient,
    UnprocessableError,
)
from thrive_async import models as m
from thrive_async._generated.operations import OPERATIONS
from thrive_async.sandbox import Sandbox

EARLY = datetime(2000, 1, 1, tzinfo=UTC)
LATE = datetime(2100, 1, 1, tzinfo=UTC)


@pytest.fixture
async def idle() -> AsyncIterator[ThriveClient]:
    """A client that cannot reach Thrive, so every refusal happens before anything is sent."""
    async with ThriveClient("tenant", ApiKey("key"), base_url="http://127.0.0.1:9") as client:
        yield client


def grant(reference: str, **flags: bool) -> m.ManagerGrant:
    permissions = m.ManagerGrantPermissions(people_manager=m.PeopleManagerGrant(**flags))
    return m.ManagerGrant(reference=reference, permissions=permissions)


# Users


async def test_users_are_listed_and_got_by_id_and_ref(thrive: ThriveClient, sandbox: Sandbox) -> None:
    """The list and `get` give whole users, `get_by_ref` the basic fields."""
    users = await thrive.users.list().collect()
    assert [user.id for user in users] == list(sandbox.state.users)
    ada = sandbox.state.add_user(ref="A/1 ü", firstName="Ada", status="new")
    assert isinstance(users[0], m.User)
    assert (await thrive.users.get(ada["id"])).first_name == "Ada"
    basic = await thrive.users.get_by_ref("A/1 ü")
    assert isinstance(basic, m.BasicUser)
    assert (basic.id, basic.status) == (ada["id"], m.UserStatus.NEW)


async def test_users_are_filtered_by_status_and_change(thrive: ThriveClient, sandbox: Sandbox) -> None:
    """Each filter narrows the list in Thrive, by enum or by string."""
    everyone = {user.id for user in await thrive.users.list().collect()}
    active = {user.id for user in await thrive.users.list(status=m.UserStatus.ACTIVE).collect()}
    others = {user.id for user in await thrive.users.list(omit_statuses=iter(["active"])).collect()}
    assert active
    assert others
    assert active | others == everyone
    assert not active & others
    some = await thrive.users.list(statuses={"new", m.UserStatus.INACTIVE}, per_page=2).collect()
    assert {user.status for user in some} == {"new", "inactive"}
    assert await thrive.users.list(updated_since=LATE).first() is None


async def test_a_user_without_email_is_refused_before_anything_is_sent_unless_login_is_by_ref(
    thrive: ThriveClient, sandbox: Sandbox
) -> None:
    with pytest.raises(ValueError, match="needs an email"):
        await thrive.users.create(m.UserCreate(ref="E-9", first_name="A", last_name="B"))
    assert not sandbox.requests.of("createUser")
    account = await thrive.users.create(m.UserCreate(ref="E-9", first_name="A", last_name="B", login_method="ref"))
    assert account.ref == "E-9"


async def test_a_user_is_created_updated_suspended_and_deleted(thrive: ThriveClient, sandbox: Sandbox) -> None:
    """Writes answer with the account as v2 shows it; what is left out stays, None clears."""
    new = m.UserCreate(
        ref="N-1", first_name="Ada", last_name="Lovelace", email="ada+n@example.com", job_title="Analyst"
    )
    made = await thrive.users.create(new)
    assert isinstance(made, m.UserAccount)
    assert (made.ref, made.active, made.job_title) == ("N-1", True, "Analyst")

    changed = await thrive.users.update("N-1", m.UserUpdate(first_name="Augusta", job_title=None))
    assert (changed.first_name, changed.last_name, changed.job_title) == ("Augusta", "Lovelace", None)

    gone = await thrive.users.suspend("N-1", end_date=date(2026, 3, 31))
    assert gone.active is False
    assert gone.end_date is not None
    assert gone.end_date.date() == date(2026, 3, 31)

    nothing: object = await thrive.users.delete("N-1")  # type: ignore[func-returns-value]
    assert nothing is None
    assert sandbox.state.by_ref("N-1") is None


async def test_a_suspension_without_a_date_sends_no_body(thrive: ThriveClient, sandbox: Sandbox) -> None:
    """The body is optional, and an empty one is not sent."""
    account = await thrive.users.suspend("E00001")
    assert account.active is False
    assert sandbox.requests[-1].raw == b""


async def test_a_taken_ref_is_a_conflict(thrive: ThriveClient) -> None:
    """Thrive's refusals come as the error of their status."""
    again = m.UserCreate(ref="E00001", first_name="A", last_name="B", email="other@example.com")
    with pytest.raises(ConflictError):
        await thrive.users.create(again)


async def test_tags_and_skills_of_a_user(thrive: ThriveClient, sandbox: Sandbox) -> None:
    """The three writes are acknowledged with Thrive's words."""
    user = sandbox.state.user("E00002")
    names = [tag["tag"] for tag in sandbox.state.tags.values()][:2]
    level = (await thrive.skills.levels())[0].value
    assert level is not None

    added = await thrive.users.add_tags(user["id"], names)
    assert (added.status, added.message) == (200, "2 tag(s) added to the user.")
    removed = await thrive.users.remove_tags(user["id"], names[:1])
    assert removed.status == 200
    assert user["tags"]["skills"] == names[1:]
    done = await thrive.users.update_skills(user["id"], [m.SkillUpdate(tag_name=names[1], target_level=int(level))])
    assert done.status == 200
    assert user.skill_levels == {names[1]: {"targetLevel": level}}


# Audiences


async def test_structures_and_audiences_are_created_found_and_deleted(thrive: ThriveClient) -> None:
    """An audience is named by id or reference; a structure goes after its children."""
    structure = await thrive.audiences.create(m.AudienceCreate(name="LATAM", reference="la/tam", category="structure"))
    child = await thrive.audiences.create(
        m.AudienceCreate(name="Ventas", reference="ventas", parent_id="la/tam", category=m.AudienceCategory.AUDIENCE)
    )
    assert (structure.api_controlled, structure.type, structure.parent) == (True, m.AudienceType.MANUAL, None)
    assert child.parent is not None
    assert child.parent.id == structure.id
    assert await thrive.audiences.get("ventas") == await thrive.audiences.get(child.id)
    with pytest.raises(ConflictError):
        await thrive.audiences.delete("la/tam")
    await thrive.audiences.delete(child.id)
    await thrive.audiences.delete("la/tam")
    with pytest.raises(NotFoundError):
        await thrive.audiences.get("la/tam")


async def test_audiences_are_filtered(thrive: ThriveClient) -> None:
    """`api_controlled` separates what the API can change from the rest."""
    ours = {one.reference for one in await thrive.audiences.list(api_controlled=True).collect()}
    theirs = {one.reference for one in await thrive.audiences.list(api_controlled=False).collect()}
    assert {"emea", "sales-emea"} <= ours
    assert {"ui-made", "all-staff-smart"} <= theirs
    assert not await thrive.audiences.list(updated_since=LATE).collect()


async def test_a_rename_is_not_a_move(thrive: ThriveClient) -> None:
    """`member_operations` is None for an audience that stays where it is."""
    renamed = await thrive.audiences.update("sales-emea", m.AudienceUpdate(name="Vertrieb"))
    assert isinstance(renamed, m.MovedAudience)
    assert (renamed.name, renamed.reference, renamed.member_operations) == ("Vertrieb", "sales-emea", None)


async def test_a_move_reports_the_results_for_its_members(thrive: ThriveClient, sandbox: Sandbox) -> None:
    """After a clean move every operation has successes only."""
    sandbox.state.add_audience("team", parent="emea", members=["E00001", "E00002"])
    moved = await thrive.audiences.update("team", m.AudienceUpdate(parent_id="apac"))
    assert moved.parent is not None
    assert moved.parent.reference == "apac"
    assert moved.member_operations is not None
    removed = moved.member_operations["removed"]
    assert removed.success is not None
    assert removed.success.count == 2 - len(removed.failures)


async def test_a_partial_move_is_a_result(thrive: ThriveClient, sandbox: Sandbox) -> None:
    """A 207 is no exception: one of the operations says `is_partial`."""
    sandbox.state.add_audience("other", parent="emea", members=["E00001"])
    sandbox.state.add_audience("team", parent="emea", members=["E00001", sandbox.state.add_user()])
    moved = await thrive.audiences.update("team", m.AudienceUpdate(parent_id="apac"))
    assert sandbox.requests[-1].status == 207
    assert moved.member_operations is not None
    assert {name: one.is_partial for name, one in moved.member_operations.items()} == {"removed": True, "added": False}
    assert [entity.reference for entity in moved.member_operations["removed"].failures] == ["E00001"]


@pytest.mark.parametrize(
    ("shape", "name"), [("operations", "removed"), ("bare", "memberOperations"), ("message", "memberOperations")]
)
async def test_a_refused_move_carries_the_results_for_its_members(shape: str, name: str) -> None:
    """The error has the member operations wherever the reply holds them, also after pickling."""
    async with Sandbox(users=10, refused_move_shape=shape) as sandbox, sandbox.client() as thrive:
        sandbox.state.add_audience("other", parent="emea", members=["E00001"])
        sandbox.state.add_audience("team", parent="emea", members=["E00001"])
        with pytest.raises(UnprocessableError) as caught:
            await thrive.audiences.update("team", m.AudienceUpdate(parent_id="apac"))
    again = pickle.loads(pickle.dumps(caught.value))
    for error in (caught.value, again):
        assert error.member_operations is not None
        assert [entity.reference for entity in error.member_operations[name].failures] == ["E00001"]


async def test_any_other_refused_update_has_no_member_operations(thrive: ThriveClient) -> None:
    """Not every 422 is a refused move."""
    with pytest.raises(UnprocessableError) as caught:
        await thrive.audiences.update("sales-emea", m.AudienceUpdate(parent_id="sales-apac"))
    assert caught.value.member_operations is None


# Members and managers


async def test_members_are_listed_added_replaced_and_removed(thrive: ThriveClient, sandbox: Sandbox) -> None:
    """You can name users by id, ref or e-mail, in any mix."""
    members = sandbox.state.add_audience("team", parent="emea").members
    third = sandbox.state.user("E00003")["id"]
    result = await thrive.audiences.members.add("team", ["E00001", "user2@example.com", third])
    assert result.success is not None
    assert (result.success.count, result.is_partial, result.failures) == (3, False, [])
    listed = await thrive.audiences.members.list("team", per_page=2).collect()
    assert [member.user_id for member in listed] == list(members)
    await thrive.audiences.members.replace("team", ["E00004"])
    assert list(members) == [sandbox.state.user("E00004")["id"]]
    await thrive.audiences.members.remove("team", "user4@example.com")
    assert len(members) == 0


async def test_a_partial_batch_is_a_result(thrive: ThriveClient, sandbox: Sandbox) -> None:
    """A 207 gives every entity's outcome; nothing is raised."""
    result = await thrive.audiences.members.add("sales-emea", ["E00001", "nobody+x@example.com"])
    assert sandbox.requests[-1].status == 207
    assert result.is_partial
    assert result.success is not None
    assert result.success.entities is not None
    assert [entity.reference for entity in result.success.entities] == ["E00001"]
    assert [(one.reference, one.reason) for one in result.failures] == [
        ("nobody+x@example.com", "User does not exist.")
    ]


async def test_managers_are_listed_granted_replaced_and_removed(thrive: ThriveClient, sandbox: Sandbox) -> None:
    """What is read has flags that cannot be written; what is written is only what is granted."""
    sandbox.state.add_audience("team", parent="emea")
    result = await thrive.audiences.managers.add("team", [grant("E00001", insights=True), grant("nobody")])
    assert result.is_partial
    (page,) = [page async for page in thrive.audiences.managers.list("team").pages()]
    (manager,) = page.items
    assert manager.permissions is not None
    assert manager.permissions.people_manager is not None
    assert manager.permissions.people_manager.insights is True
    assert manager.permissions.people_manager.manage is False
    await thrive.audiences.managers.replace("team", [grant("E00002")])
    assert [one.reference for one in await thrive.audiences.managers.list("team").collect()] == ["E00002"]
    await thrive.audiences.managers.remove("team", "user2@example.com")
    assert await thrive.audiences.managers.list("team").first() is None


BATCHES: list[Callable[[ThriveClient, list[Any]], Any]] = [
    lambda t, batch: t.audiences.members.add("a", batch),
    lambda t, batch: t.audiences.members.replace("a", batch),
    lambda t, batch: t.users.add_tags("u", batch),
    lambda t, batch: t.users.remove_tags("u", batch),
]
GRANTS: list[Callable[[ThriveClient, list[Any]], Any]] = [
    lambda t, batch: t.audiences.managers.add("a", [grant(name) for name in batch]),
    lambda t, batch: t.audiences.managers.replace("a", [grant(name) for name in batch]),
    lambda t, batch: t.users.update_skills("u", [m.SkillUpdate(tag_name=name) for name in batch]),
]


MODELS: list[tuple[Callable[[ThriveClient, Any], Awaitable[object]], str]] = [
    (lambda t, body: t.users.create(body), "createUser takes a thrive_async.models.UserCreate"),
    (lambda t, body: t.users.update("E-1", body), "updateUser takes a thrive_async.models.UserUpdate"),
    (lambda t, body: t.audiences.create(body), "createAudience takes a thrive_async.models.AudienceCreate"),
    (lambda t, body: t.audiences.update("a", body), "updateAudience takes a thrive_async.models.AudienceUpdate"),
    (lambda t, body: t.assignments.create(body), "createAssignment takes a thrive_async.models.AssignmentCreate"),
    (lambda t, body: t.assignments.update("a", body), "updateAssignment takes a thrive_async.models.AssignmentUpdate"),
    (lambda t, body: t.completions.create(body), "createCompletion takes a thrive_async.models.CompletionCreate"),
]


@pytest.mark.parametrize(("write", "words"), MODELS, ids=[words.split()[0] for _, words in MODELS])
@pytest.mark.parametrize(
    "body",
    [
        m.User(id="63f57d805d8ecbf46f5b5278", email="ada@example.com"),
        m.Audience(id="63f57d805d8ecbf46f5b5278"),
        m.UserSuspend(end_date=date(2026, 1, 31)),
        {"firstName": "Ada"},
        [m.UserUpdate(job_title="Analyst")],
        "ada@example.com",
        None,
    ],
    ids=lambda body: type(body).__name__,
)
async def test_a_write_accepts_only_its_own_model(idle: ThriveClient, write: Any, words: str, body: object) -> None:
    """A model from a reply has None for every field that Thrive left out: writing it back would clear those fields."""
    with pytest.raises(TypeError, match=words) as caught:
        await write(idle, body)
    assert "ada" not in str(caught.value).lower()


def test_every_write_with_a_model_refuses_another_model() -> None:
    """Or its method makes the model itself, of arguments."""
    made = {
        "addUserTags",
        "removeUserTags",
        "updateUserSkills",
        "suspendUser",
        "deleteAssignment",
        "sendProvisioningEvent",
    }
    taking = {operation.id for operation in OPERATIONS.values() if operation.body_model}
    assert taking == made | {words.split()[0] for _, words in MODELS}


@pytest.mark.parametrize("write", BATCHES + GRANTS)
@pytest.mark.parametrize("count", [0, 101])
async def test_an_empty_batch_or_more_than_100_is_not_sent(idle: ThriveClient, write: Any, count: int) -> None:
    """The limits hold before anything is sent."""
    with pytest.raises(ValueError, match="must hold 1 to 100"):
        await write(idle, [f"u{number}" for number in range(count)])


@pytest.mark.parametrize("write", BATCHES)
async def test_a_single_string_is_not_sent_as_a_batch(idle: ThriveClient, write: Any) -> None:
    """A string is not a batch of letters."""
    with pytest.raises(TypeError, match="not a lone str"):
        await write(idle, "ada@example.com")


@pytest.mark.parametrize(
    "listing",
    [
        lambda t, value: t.users.list(statuses=value),
        lambda t, value: t.users.list(omit_statuses=value),
        lambda t, value: t.contents.list(types=value),
        lambda t, value: t.contents.list(omit_types=value),
        lambda t, value: t.activities.list(actions=value),
        lambda t, value: t.activities.list(omit_actions=value),
        lambda t, value: t.activities.list(content_ids=value),
        lambda t, value: t.cpd.user_summaries.list(entry_date_from=EARLY, entry_date_to=LATE, user_ids=value),
    ],
)
async def test_filters_refuse_a_single_string_and_an_empty_list(idle: ThriveClient, listing: Any) -> None:
    """A lone string is a TypeError, an empty list a ValueError, both when the list is asked for."""
    with pytest.raises(TypeError, match="must be an iterable of strings, not a lone str"):
        listing(idle, "active")
    with pytest.raises(ValueError, match="is empty: leave it out"):
        listing(idle, [])


@pytest.mark.parametrize(
    "listing",
    [
        lambda t: t.users.list(updated_since=datetime(2026, 1, 1)),  # noqa: DTZ001
        lambda t: t.users.list(per_page=1001),
        lambda t: t.users.list(per_page=2.5),
        lambda t: t.users.list(per_page=True),
        lambda t: t.users.list(prefetch=0),
        lambda t: t.users.list(prefetch=1.5),
        lambda t: t.assignments.list(per_page=101),
        lambda t: t.activities.list(timestamp_to=datetime(2026, 1, 1)),  # noqa: DTZ001
        lambda t: t.completions.list(completed_from=datetime(2026, 1, 1)),  # noqa: DTZ001
        lambda t: t.audiences.members.list(""),
        lambda t: t.audiences.managers.list(".."),
    ],
)
async def test_a_list_refuses_invalid_arguments_before_iteration(idle: ThriveClient, listing: Any) -> None:
    """A mistake shows where it was written, not where the first page is read."""
    with pytest.raises(ValueError, match=r"\w"):
        listing(idle)


@pytest.mark.parametrize("timeouts", [30, 0, 2.5, (1, 2), "30"])
async def test_timeouts_must_not_be_a_number(idle: ThriveClient, timeouts: Any) -> None:
    """It would not say which limit it sets, and 0 must not mean that there is no limit."""
    with pytest.raises(TypeError, match=r"timeouts must be Timeouts\(attempt=..., total=...\), not"):
        idle.users.list(timeouts=timeouts)
    for call in (
        idle.skills.levels(timeouts=timeouts),
        idle.users.get("a", timeouts=timeouts),
        idle.users.delete("a", timeouts=timeouts),
        idle.request("GET", "/rest/v1/tags", timeouts=timeouts),
    ):
        with pytest.raises(TypeError, match="timeouts must be"):
            await call


async def test_an_end_of_a_range_of_enrolments_needs_a_start(idle: ThriveClient) -> None:
    """Thrive takes `updatedAtTo` only beside `updatedAtFrom`."""
    with pytest.raises(ValueError, match="updated_at_to needs updated_at_from"):
        idle.assignments.enrolments.list("a", updated_at_to=LATE)


# What holds for all of them


@pytest.mark.parametrize("reply", ["object", "empty", "no_content"])
async def test_deletes_and_removes_return_none_for_any_reply(reply: str) -> None:
    """The bodies of these replies are not documented, so the SDK does not read them."""
    async with Sandbox(users=12, delete_reply=reply) as sandbox, sandbox.client() as thrive:
        sandbox.state.add_audience("team", parent="emea", members=["E00001"])
        await thrive.audiences.managers.add("team", [grant("E00002")])
        assignment = await thrive.assignments.create(
            m.AssignmentCreate(audience_id="team", content_id=sandbox.state.add_content()["id"])
        )
        calls: list[Callable[[], Awaitable[object]]] = [
            lambda: thrive.assignments.delete(assignment.id, audience_id="team"),
            lambda: thrive.audiences.managers.remove("team", "E00002"),
            lambda: thrive.audiences.members.remove("team", "E00001"),
            lambda: thrive.audiences.delete("team"),
            lambda: thrive.users.delete("E00003"),
        ]
        assert [await call() for call in calls] == [None] * 5
        assert [entry.attempt for entry in sandbox.requests] == [1] * len(sandbox.requests)


async def test_a_missing_record_is_not_found(thrive: ThriveClient) -> None:
    """Every `get` and `remove` says so in the same way."""
    missing = "0" * 24
    calls: list[Callable[[], Awaitable[object]]] = [
        lambda: thrive.users.get(missing),
        lambda: thrive.users.get_by_ref("nobody"),
        lambda: thrive.audiences.get("nowhere"),
        lambda: thrive.audiences.members.remove("sales-emea", "nobody"),
        lambda: thrive.audiences.managers.remove("sales-emea", "nobody"),
        lambda: thrive.assignments.get(missing),
        lambda: thrive.assignments.enrolments.get(missing, missing),
        lambda: thrive.completions.get(missing),
        lambda: thrive.contents.get(missing),
        lambda: thrive.activities.get(missing),
        lambda: thrive.cpd.categories.get(missing),
        lambda: thrive.cpd.entries.get(missing),
        lambda: thrive.cpd.requirements.get(missing),
        lambda: thrive.tags.get(missing),
    ]
    for call in calls:
        with pytest.raises(NotFoundError):
            await call()
