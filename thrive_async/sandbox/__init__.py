"""A complete Thrive on loopback: it keeps state, checks every request, and fails when you tell it to.

```python
from thrive_async.sandbox import Sandbox, VirtualClock

async with Sandbox(users=1000, seed=1, clock=VirtualClock()) as sandbox, sandbox.client() as thrive:
    sandbox.faults.add("rate_limited", retry_after=30)       # takes no real time: the clock is virtual
    sales = await thrive.audiences.get("sales-emea")
    await thrive.audiences.members.add("sales-emea", ["E00001"])
    assert "E00001" in sandbox.state.audiences["sales-emea"].members
    assert sandbox.requests[-1].operation == "addMembers"
```

Every operation and the token endpoint answer over a real socket from one consistent state. The sandbox checks every
request against the OpenAPI document, which needs jsonschema-rs: `pip install "thrive-async[sandbox]"`.

Where Thrive's documentation is silent, the sandbox has to choose. This table lists every choice. If another answer is
plausible, you can select it with a setting: a keyword argument of `Sandbox`.

| not documented | the sandbox | setting |
|---|---|---|
| a batch in which every entity fails | 207, `success.count` 0 | `all_failed_batch=422` |
| adding a member again, or twice in one batch | success, listed each time | |
| a page past the last | an empty page | `past_last_page="not_found"`, `"last"`, `"first"` |
| whether a list comes in pages | it does | `paging="whole"`: everything at once; `"first"`: page 1 for every page |
| totals of a list | correct | `totals="absent"`, `"zero"`, `"double"` |
| `totalPages` of an empty list | 0 | |
| `perPage` above its maximum | 400 | `per_page_clamp=N`: at most N, silently |
| `perPage` below its maximum | accepted | `largest_page=N`: refuses more, with `large_page_status` |
| an unknown query parameter, or one given twice | 400 | |
| a body that is not JSON / that breaks the schema | 400 / 422, or the one that is documented | |
| an unknown id in a body | 404 where documented, else 422 | |
| status of a create | 201 | `create_status=200` |
| reply to any write but a delete | as documented | `write_reply="message"`, `"empty"`, `"no_content"` |
| reply to a delete or remove | 200 `{"success": true}` | `delete_reply="string"`, `"null"`, `"empty"`, `"no_content"` |
| names inside `memberOperations` | `removed`, `added` | `moved_keys=(..., ...)` |
| `memberOperations` of an audience that has not moved | null | `unmoved_operations="absent"` |
| shape of a refused move | the error, with `memberOperations` | `refused_move_shape="bare"`, `"message"` |
| members who stay in the old parent | those in another of its audiences; a move is refused if all stay | |
| members of a structure | its own and those of its audiences; leaving it means leaving its audiences | |
| writes to smart / UI-made audiences | 422 / 409 | |
| deleting a structure that has children | 409 | |
| moving a structure, or moving into anything but an API-controlled structure | 422 | |
| an audience without a category | an audience if it has a parent, else a structure | |
| an unknown audience in members and managers, where no 404 is documented | 404 anyway | `unknown_audience=422` |
| removing a user who is not a member or manager | 404 | `remove_reply=207`, `200`: with a `failure` |
| the slash at the end of an audience's update path | optional | `audience_patch="slash"`, `"bare"`: 404 otherwise |
| `administrator` permissions on a child audience | 422 | |
| `userId` and `email` beside `reference` in a manager | accepted; the reference decides | |
| permissions of a manager who is added again | replaced | |
| a name that fits two users | id before ref before e-mail; e-mails ignore case | |
| deleted users | listed with `deleted: true`, without name, ref or e-mail; in no audience | `deleted_users="hidden"` |
| `audiences` of a user | objects with the id | `bare_audience_ids=True` |
| a `managerRef` that does not exist | kept; the position has no manager | |
| `endDate`, if a suspension does not set it | now | |
| suspended users as members | stay, except in smart audiences | |
| where a learner's tags appear | in `tags.skills`; removing a tag they do not have succeeds | |
| a level that is not a listed skill level | accepted; -1 means no level | `unlisted_skill_level="refused"`: 422 |
| setting the level of a skill the learner does not have | adds the skill | |
| enrolments after leaving the audience, or after deleting the assignment | archived; open again on return | |
| an assignment that recurs | completed enrolments open again, that many days after the completion | |
| a second assignment of the same content | another assignment | `duplicate_assignment="conflict"`: 409 |
| an assignment requested with the wrong audience | 409 | |
| deleting an assignment twice | 404 | |
| completions by the API | `isRPL: true`; the same user, content and moment is the same completion | |
| bounds of date filters | inclusive; UTC without a zone; a bare day at the end means the whole day | |
| `updatedSince` on records without an update time | the creation, or the time the sandbox remembers | |
| body of the 404 of a single content, activity, CPD record | the error | `not_found_body=False` |
| errors from the v2 endpoints' own rules | as in v1 | `v2_error_shape="v2"`: `{code, message}` |
| the list of tags | paged | `tags_shape="array"` |
| where provisioning events go | `/rest/v1/webhooks`, scope `api/webhooks` or `api/all` | |
| reply to a provisioning event | 200 with an object | `event_status=201`, `202`, `204`; `event_body=False` |
| a provisioning event with a known id | applied again | `repeated_event="ignored"`, `"conflict"`: 409 |
| `user_joined` about an active user | changes the fields | `joined_twice="conflict"`: 409 |
| any other event about an unknown user | 404 | `unknown_event_user=200`: nothing happens |
| null in `user_updated` | clears the field, as in v2 | |
| the rate limit | none; 429 with Retry-After | `rate_limit=N, rate_burst=N, rate_limit_headers=...` |
| how an OAuth client identifies itself | header or form | `token_auth="basic"`, `"post"`, `token_refusal=403` |
| format of the token reply | `access_token` | `token_reply="camel"`: `accessToken`; `"bearer"`: `Bearer ` in front |
| a token's lifetime | `"expires_in": 3600` | `token_lifetime=N, token_expires_in="string"`, `"absent"` |
| errors of the token endpoint | OAuth's | `token_error="thrive"` |
| a body above 16 MB | 413 | |
| when webhooks are sent again | 5 times, after 1, 2, 4... seconds | `webhook_retries=N, webhook_pause=N` |
| `dispatchedAt` of a webhook that is sent again | the time of the attempt | `webhook_dispatched_at="first"` |
| `tenantId` in webhooks | a name, as in the samples | `webhook_tenant="id"` |
| the webhook of a deleted user | `user.deactivated` | |
"""

from thrive_async.sandbox.sandbox import Sandbox
from thrive_async.sandbox.server.clock import VirtualClock
from thrive_async.sandbox.server.faults import Fault, Faults
from thrive_async.sandbox.server.journal import Journal, RequestEntry
from thrive_async.sandbox.server.webhooks import Delivery, Subscription, Webhooks
from thrive_async.sandbox.settings import Settings
from thrive_async.sandbox.state.audiences import AudienceRecord, Members
from thrive_async.sandbox.state.records import Record, UserRecord
from thrive_async.sandbox.state.state import State

__all__ = [
    "AudienceRecord",
    "Delivery",
    "Fault",
    "Faults",
    "Journal",
    "Members",
    "Record",
    "RequestEntry",
    "Sandbox",
    "Settings",
    "State",
    "Subscription",
    "UserRecord",
    "VirtualClock",
    "Webhooks",
]


def __dir__() -> list[str]:
    return sorted(__all__)
