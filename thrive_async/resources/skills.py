"""``thrive.skills``: the skill levels of the tenant."""

from __future__ import annotations

from thrive_async._generated import operations as ops
from thrive_async.config import Timeouts
from thrive_async.resources import _models as models
from thrive_async.resources._base import Resource

__all__ = ["Skills"]


class Skills(Resource):
    """The tenant's scale of skill levels."""

    async def levels(self, *, timeouts: Timeouts | None = None) -> list[models.SkillLevel]:
        """Get the skill levels of the tenant.

        API: ``GET /rest/v1/skills/levels``. Third-party evidence only: no official page was found.

        Args:
            timeouts: Time limits for this call. The default is the client's.

        Returns:
            Every level, in the server's order. Their values are numbers such as 1024 and 2048, which you pass to
            `thrive.users.update_skills`.

        Raises:
            PermissionDeniedError: The key or token does not give access to this.
        """
        return await self._list(ops.LIST_SKILL_LEVELS, models.SkillLevel, locals()).collect()
