"""``thrive.users``: find people, and create, change, suspend and delete their accounts.

Reads return the v1 ``User``. Writes go to v2 and return a ``UserAccount``, which has another shape (``active`` rather
than ``status``, ``sso`` rather than ``single_sign_on``).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime

from thrive_async._base.unset import UNSET
from thrive_async._generated import operations as ops
from thrive_async.config import Timeouts
from thrive_async.errors import InvalidArgument
from thrive_async.pagination import Paginator
from thrive_async.resources._base import check_body
from thrive_async.resources._checks import batch
from thrive_async.resources._models import models
from thrive_async.resources._written import Again, WritingResource, acknowledgement

__all__ = ["Users"]


class Users(WritingResource):
    """The people of the tenant.

    A person has three names: the id (24 hexadecimal digits, given by Thrive), the ref (your organisation's own, unique
    in the tenant) and the e-mail address. Each method says which one it takes.

    Thrive may confirm a write without sending the account. It is then read as a v1 user, by the id in the reply or by
    the ref, and the fields that such a user does not have are None, `login_method` and `domain` for example.
    """

    def list(
        self,
        *,
        updated_since: datetime | None = None,
        statuses: Iterable[models.UserStatus | str] | None = None,
        omit_statuses: Iterable[models.UserStatus | str] | None = None,
        status: models.UserStatus | str | None = None,
        per_page: int | None = None,
        prefetch: int = 4,
        timeouts: Timeouts | None = None,
    ) -> Paginator[models.User]:
        """List the users of the tenant.

        API: ``GET /rest/v1/users``. The page documents the paging only; the filters rest on third-party evidence.
        https://docs.thrivelearning.com/v1-api/apidocs/search-users-and-return-basic-user-information

        Args:
            updated_since: Only users changed at this time or later. Must have a time zone.
            statuses: Only users with one of these statuses (active, inactive, expired, new).
            omit_statuses: Leave out users with one of these statuses.
            status: Only users with this status.
            per_page: Users per request, 1 to 1,000. None for 1,000, or `Limits.per_page`.
            prefetch: How many pages to request ahead, at least 1.
            timeouts: Time limits for each request; None for the client's.

        Returns:
            A paginator of users. Nothing is sent until you read it.

        Raises:
            TypeError: One string instead of several for `statuses` or `omit_statuses`.
            InvalidArgument: `updated_since` without a time zone, an empty `statuses` or `omit_statuses`;
                `per_page` or `prefetch` out of range.

        Example:
            ```python
            async for user in thrive.users.list(statuses=["active"]):
                print(user.id, user.email)
            ```
        """
        return self._list(ops.SEARCH_USERS, models.User, locals())

    async def get(self, user_id: str, *, timeouts: Timeouts | None = None) -> models.User:
        """Get a user by id.

        API: ``GET /rest/v1/user/{id}`` (singular).
        https://docs.thrivelearning.com/apidocs/search-user-by-id-and-return-basic-user-information

        Args:
            user_id: The user's id (24 hexadecimal digits), neither ref nor e-mail.
            timeouts: The time limits of this call, if not the client's.

        Returns:
            The user with every field that the API shows.

        Raises:
            NotFoundError: There is no such user.
        """
        return await self._read(ops.GET_USER, models.User, path={"id": user_id}, timeouts=timeouts)

    async def get_by_ref(self, ref: str, *, timeouts: Timeouts | None = None) -> models.BasicUser:
        """Get the basic fields of a user by ref.

        API: ``GET /rest/v1/users/ref/{ref}``.
        https://docs.thrivelearning.com/apidocs/search-user-by-ref-and-return-basic-user-information

        Args:
            ref: Your organisation's reference of the user. Any characters; they are percent-encoded.
            timeouts: The time limits of this call, if not the client's.

        Returns:
            The user with fewer fields than `get` gives: what comes after the language code is missing.

        Raises:
            NotFoundError: There is no such user.
        """
        return await self._read(ops.GET_USER_BY_REF, models.BasicUser, path={"ref": ref}, timeouts=timeouts)

    async def create(self, user: models.UserCreate, *, timeouts: Timeouts | None = None) -> models.UserAccount:
        """Create a user.

        It is not repeated if the answer was lost: look whether the user is there before you try again.

        API: ``POST /rest/v2/users``.
        https://docs.thrivelearning.com/apidocs/create-a-user

        Args:
            user: The new user. Ref, first name and last name are required, and the e-mail too unless the login method
                is ``ref``.
            timeouts: The time limits of this call, if not the client's.

        Returns:
            The account as Thrive made it.

        Raises:
            ValueError: The e-mail is missing, and the user logs in with it.
            ResultUnknown: The user was created, but Thrive did not send the account and it could not be read.
            BadRequestError: Thrive does not accept a field.
            ConflictError: The ref or e-mail is taken.
            UnprocessableError: The fields do not go together.

        Example:
            ```python
            account = await thrive.users.create(
                UserCreate(ref="E-1001", first_name="Ada", last_name="Lovelace", email="ada@example.com")
            )
            ```
        """
        check_body(ops.CREATE_USER, user)
        if user.email is UNSET and user.login_method != "ref":
            raise InvalidArgument('a user needs an $email, unless $login_method is "ref"', "email", "login_method")
        return await self._write(
            ops.CREATE_USER, models.UserAccount, self._account(user.ref), body=user, timeouts=timeouts
        )

    async def update(
        self, ref: str, changes: models.UserUpdate, *, timeouts: Timeouts | None = None
    ) -> models.UserAccount:
        """Change some fields of a user.

        API: ``PATCH /rest/v2/users/ref/{ref}``.
        https://docs.thrivelearning.com/apidocs/update-a-user

        Args:
            ref: Your organisation's reference of the user. It cannot be changed.
            changes: The fields to change. A field left out (UNSET) stays as it is, None clears it.
            timeouts: The time limits of this call, if not the client's.

        Returns:
            The account after the change.

        Raises:
            BadRequestError: Thrive does not accept a field.
            NotFoundError: There is no such user.
            ConflictError: The new e-mail is taken.
            ResultUnknown: The user was changed, but Thrive did not send the account and it could not be read.

        Example:
            ```python
            await thrive.users.update("E-1001", UserUpdate(job_title="Analyst", manager_ref=None))
            ```
        """
        return await self._write(
            ops.UPDATE_USER,
            models.UserAccount,
            self._account(ref),
            path={"ref": ref},
            body=changes,
            timeouts=timeouts,
        )

    async def suspend(
        self, ref: str, *, end_date: date | datetime | None = None, timeouts: Timeouts | None = None
    ) -> models.UserAccount:
        """Suspend a user: the account stays, but its owner can no longer log in.

        No v2 endpoint is known that takes this back.

        API: ``PATCH /rest/v2/users/ref/{ref}/suspend``.
        https://docs.thrivelearning.com/apidocs/suspend-a-user

        Args:
            ref: Your organisation's reference of the user.
            end_date: The day or moment the person left. A datetime must be aware. None sends no date.
            timeouts: The time limits of this call, if not the client's.

        Returns:
            The account, with `active` False.

        Raises:
            NotFoundError: There is no such user.
            ResultUnknown: The user was suspended, but Thrive did not send the account and it could not be read.
            ValueError: A naive `end_date`.
        """
        body = UNSET if end_date is None else models.UserSuspend(end_date=end_date)
        return await self._write(
            ops.SUSPEND_USER,
            models.UserAccount,
            self._account(ref),
            path={"ref": ref},
            body=body,
            timeouts=timeouts,
        )

    async def delete(self, ref: str, *, timeouts: Timeouts | None = None) -> None:
        """Delete a user for good: personal data is obfuscated, the training history is kept.

        A new account can never be linked to the old one.

        API: ``DELETE /rest/v2/users/ref/{ref}``.
        https://docs.thrivelearning.com/apidocs/delete-a-user

        Args:
            ref: Your organisation's reference of the user.
            timeouts: The time limits of this call, if not the client's.

        Raises:
            BadRequestError: Thrive does not accept the ref.
            NotFoundError: There is no such user.
        """
        await self._send(ops.DELETE_USER, path={"ref": ref}, timeouts=timeouts)

    async def add_tags(
        self, user_id: str, tags: Iterable[str], *, timeouts: Timeouts | None = None
    ) -> models.Acknowledgement:
        """Give a user tags that exist already.

        API: ``POST /rest/v1/users/{userId}/tags``.
        https://docs.thrivelearning.com/apidocs/add-existing-tags-to-an-existing-learner

        Args:
            user_id: The user's id (24 hexadecimal digits).
            tags: 1 to 100 names of tags, not their ids.
            timeouts: The time limits of this call, if not the client's.

        Returns:
            What Thrive said; the status alone if it said nothing.

        Raises:
            TypeError: A lone string for `tags`.
            ValueError: No tag, more than 100, or a blank one.
            NotFoundError: There is no such user or tag.
            UnprocessableError: Thrive does not accept the tags.
        """
        body = models.UserTagsAdd(tags=batch("tags", tags, str, "tag names"))
        reply = await self._send(ops.ADD_USER_TAGS, path={"userId": user_id}, body=body, timeouts=timeouts)
        return acknowledgement(ops.ADD_USER_TAGS, reply, self._transport.problems)

    async def remove_tags(
        self, user_id: str, tags: Iterable[str], *, timeouts: Timeouts | None = None
    ) -> models.Acknowledgement:
        """Take tags from a user.

        API: ``PATCH /rest/v1/users/{userId}/tags``.
        https://docs.thrivelearning.com/apidocs/remove-existing-tags-from-an-existing-learner

        Args:
            user_id: The user's id (24 hexadecimal digits).
            tags: 1 to 100 names of tags, not their ids.
            timeouts: The time limits of this call, if not the client's.

        Returns:
            What Thrive said; the status alone if it said nothing.

        Raises:
            TypeError: A lone string for `tags`.
            ValueError: No tag, more than 100, or a blank one.
            NotFoundError: There is no such user or tag.
            UnprocessableError: Thrive does not accept the tags.
        """
        body = models.UserTagsRemove(value=batch("tags", tags, str, "tag names"))
        reply = await self._send(ops.REMOVE_USER_TAGS, path={"userId": user_id}, body=body, timeouts=timeouts)
        return acknowledgement(ops.REMOVE_USER_TAGS, reply, self._transport.problems)

    async def update_skills(
        self, user_id: str, skills: Iterable[models.SkillUpdate], *, timeouts: Timeouts | None = None
    ) -> models.Acknowledgement:
        """Set the level or target level of a user's skills.

        API: ``PATCH /rest/v1/users/{userId}/skills``.
        https://docs.thrivelearning.com/apidocs/update-level-andor-targetlevel-for-skillss-for-an-existing-learner

        Args:
            user_id: The user's id (24 hexadecimal digits).
            skills: 1 to 100 skills, each by the name of its tag. Levels are those of `thrive.skills.levels()`
                (such as 1024), -1 at the least.
            timeouts: The time limits of this call, if not the client's.

        Returns:
            What Thrive said; the status alone if it said nothing.

        Raises:
            TypeError: A lone `SkillUpdate`, or something that is none.
            ValueError: No skill, or more than 100.
            NotFoundError: There is no such user or skill.
            UnprocessableError: Thrive does not accept a level.

        Example:
            ```python
            await thrive.users.update_skills(user.id, [SkillUpdate(tag_name="Python", target_level=2048)])
            ```
        """
        body = models.UserSkillsUpdate(value=batch("skills", skills, models.SkillUpdate, "SkillUpdates"))
        reply = await self._send(ops.UPDATE_USER_SKILLS, path={"userId": user_id}, body=body, timeouts=timeouts)
        return acknowledgement(ops.UPDATE_USER_SKILLS, reply, self._transport.problems)

    def _account(self, ref: str) -> Again[models.UserAccount]:
        async def again(user_id: str | None, timeouts: Timeouts) -> models.UserAccount:
            if user_id is not None:
                return _account_of(await self.get(user_id, timeouts=timeouts))
            return _account_of(await self.get_by_ref(ref, timeouts=timeouts))

        return again


def _account_of(user: models.User | models.BasicUser) -> models.UserAccount:
    """Return what a v1 user tells of its v2 account."""
    positions = user.positions or []
    position = next((one for one in positions if one.is_active), positions[0] if positions else None)
    account = models.UserAccount(
        id=user.id,
        ref=user.ref,
        email=user.email,
        first_name=user.first_name,
        last_name=user.last_name,
        role=user.role,
        language_code=user.language_code,
        additional_fields=user.additional_fields,
        active=None if user.status is None else {"active": True, "inactive": False}.get(user.status),
    )
    if position is not None:
        account.job_title = position.title
        account.manager_ref = position.manager.ref if position.manager is not None else None
        account.start_date = position.start_date
        account.end_date = position.end_date
    if isinstance(user, models.User):
        account.time_zone = user.time_zone
        account.sso = user.single_sign_on
        account.created_at = user.created_at
        account.updated_at = user.updated_at
    return account
