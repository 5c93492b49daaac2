"""The resources of the Thrive API: one small class each, reached through the client.

``thrive.users``, ``thrive.audiences`` with ``.members`` and ``.managers``, ``thrive.assignments`` with ``.enrolments``,
``thrive.completions``, ``thrive.contents``, ``thrive.activities``, ``thrive.cpd`` with ``.categories``, ``.entries``,
``.requirements`` and ``.user_summaries``, ``thrive.tags``, ``thrive.skills`` and ``thrive.provisioning``.
"""

from __future__ import annotations

from thrive_async.resources.activities import Activities
from thrive_async.resources.assignments import Assignments
from thrive_async.resources.audiences import Audiences
from thrive_async.resources.completions import Completions
from thrive_async.resources.contents import Contents
from thrive_async.resources.cpd import Cpd, CpdCategories, CpdEntries, CpdRequirements, CpdUserSummaries
from thrive_async.resources.enrolments import Enrolments
from thrive_async.resources.managers import Managers
from thrive_async.resources.members import Members
from thrive_async.resources.provisioning import Provisioning
from thrive_async.resources.skills import Skills
from thrive_async.resources.tags import Tags
from thrive_async.resources.users import Users

__all__ = [
    "Activities",
    "Assignments",
    "Audiences",
    "Completions",
    "Contents",
    "Cpd",
    "CpdCategories",
    "CpdEntries",
    "CpdRequirements",
    "CpdUserSummaries",
    "Enrolments",
    "Managers",
    "Members",
    "Provisioning",
    "Skills",
    "Tags",
    "Users",
]


def __dir__() -> list[str]:
    return sorted(__all__)
