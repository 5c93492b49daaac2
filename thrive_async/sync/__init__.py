"""Make audiences and users equal to lists: plan, guard, apply, report.

A plan only reads, and says what would change. Its guards refuse before the first write. Applying it gives every planned
change exactly one outcome.

Four doors of one shape (`members`, `managers`, `audiences`, `users`) over the private rest: `_guards` refuses a run,
`_doubts` holds a person back, `_match` says who is who, `_apply` carries a plan out. Imports the client, never the
command. `undo` stands over the doors: it plans the opposite of what a journal says.

Example:
    ```python
    from thrive_async import sync

    plan = await sync.plan_members(thrive, "sales-emea", desired)
    print(plan)
    report = await plan.apply(max_removals=0.10, journal="run.jsonl")
    report.raise_for_failures()
    ```
"""

from thrive_async.sync._doubts import Unknown
from thrive_async.sync._guards import Guard, Strategy
from thrive_async.sync._match.names import Entry
from thrive_async.sync.audiences import AudiencesPlan, plan_audiences, sync_audiences
from thrive_async.sync.errors import GuardRefused, SyncError
from thrive_async.sync.managers import ManagerPlan, plan_managers, sync_managers
from thrive_async.sync.members import Desired, MemberPlan, plan_members, sync_members
from thrive_async.sync.new_audiences import NewAudience
from thrive_async.sync.report import Outcome, Progress, SyncReport
from thrive_async.sync.source import Source
from thrive_async.sync.undo import plan_undo
from thrive_async.sync.users import UserChange, UserHeld, UserLeaver, UserPlan, UserReturn, plan_users, sync_users

__all__ = [
    "AudiencesPlan",
    "Desired",
    "Entry",
    "Guard",
    "GuardRefused",
    "ManagerPlan",
    "MemberPlan",
    "NewAudience",
    "Outcome",
    "Progress",
    "Source",
    "Strategy",
    "SyncError",
    "SyncReport",
    "Unknown",
    "UserChange",
    "UserHeld",
    "UserLeaver",
    "UserPlan",
    "UserReturn",
    "plan_audiences",
    "plan_managers",
    "plan_members",
    "plan_undo",
    "plan_users",
    "sync_audiences",
    "sync_managers",
    "sync_members",
    "sync_users",
]


def __dir__() -> list[str]:
    return sorted(__all__)
