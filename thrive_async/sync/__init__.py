"""Make audiences equal to lists: plan, guard, apply, report.

A plan only reads, and says what would change; its guards refuse before the first write; applying it gives every
planned change exactly one outcome.

Example:
    ```python
    from thrive_async import sync

    plan = await sync.plan_members(thrive, "sales-emea", desired)
    print(plan)
    report = await plan.apply(max_removals=0.10, journal="run.jsonl")
    report.raise_for_failures()
    ```
"""

from thrive_async.sync._arguments import Strategy
from thrive_async.sync._audiences_plan import AudiencesPlan
from thrive_async.sync._member_plan import Desired, MemberPlan
from thrive_async.sync.audiences import plan_audiences, sync_audiences
from thrive_async.sync.errors import GuardRefused, SyncError
from thrive_async.sync.managers import ManagerPlan, plan_managers
from thrive_async.sync.members import plan_members, sync_members
from thrive_async.sync.new_audiences import NewAudience
from thrive_async.sync.report import Outcome, Progress, SyncReport
from thrive_async.sync.users import UserChange, UserLeaver, UserPlan, plan_users

__all__ = [
    "AudiencesPlan",
    "Desired",
    "GuardRefused",
    "ManagerPlan",
    "MemberPlan",
    "NewAudience",
    "Outcome",
    "Progress",
    "Strategy",
    "SyncError",
    "SyncReport",
    "UserChange",
    "UserLeaver",
    "UserPlan",
    "plan_audiences",
    "plan_managers",
    "plan_members",
    "plan_users",
    "sync_audiences",
    "sync_members",
]


def __dir__() -> list[str]:
    return sorted(__all__)
