"""``thrive.users``: find people, and create, change, suspend and delete their accounts.

Reads return the v1 ``User``. Writes go to v2 and return a ``UserAccount``, which has other fields (``active`` instead
of ``status``, ``sso`` instead of ``single_sign_on``).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime

from thrive_async._base.unset import UNSET
from thrive_async._generated import operations as ops
from thrive_async.config import Timeouts
from thrive_async.errors import InvalidArgument
from thrive_async.pagination import Paginator
from thrive_async.resources import _models as models
from thrive_async.resources._base import check_body
from thrive_async.resources._checks import batch
from thrive_async.resources._written import Again, WritingResource, acknowledgement

__all__ = ["Users"]


class Users(WritingResource):
    """The people of the tenant.

    A person has three names: the id (24 hexadecimal digits, assigned by Thrive), the ref (your organisation's own,
    unique in the tenant) and the e-mail address. Each method says which one it accepts.

    Thrive may confirm a write without sending the account. The client then reads the v1 user, by the id in the reply
    or by the ref. Fields that a v1 user does not have, such as `login_method` and `domain`, are then None.
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

        API: ``GET /rest/v1/users``. The page documents only the paging; the filters come from third-party evidence.
        https://docs.thrivelearning.com/v1-api/apidocs/search-users-and-return-basic-user-information

        Args:
            updated_since: Only users changed at this time or later. Must have a time zone.
            statuses: Only users with one of these statuses (active, inactive, expired, new).
            omit_statuses: Leave out users with one of these statuses.
            status: Only users with this status.
            per_page: Users per request, 1 to 1,000. None for 1,000, or `Limits.per_page`.
            prefetch: How many pages to request ahead, at least 1.
            timeouts: Time limits for each request. The default is the client's.

        Returns:
            A paginator of users. Nothing is sent until you read it.

        Raises:
            TypeError: You passed a single string as `statuses` or `omit_statuses`.
            InvalidArgument: `updated_since` has no time zone, `statuses` or `omit_statuses` is empty, or `per_page` or
                `prefetch` is out of range.

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
            user_id: The user's id (24 hexadecimal digits), not the ref or e-mail.
            timeouts: Time limits for this call. The default is the client's.

        Returns:
            The user, with every field of the API.

        Raises:
            NotFoundError: There is no such user.
        """
        return await self._read(ops.GET_USER, models.User, path={"id": user_id}, timeouts=timeouts)

    async def get_by_ref(self, ref: str, *, timeouts: Timeouts | None = None) -> models.BasicUser:
        """Get the basic fields of a user by ref.

        API: ``GET /rest/v1/users/ref/{ref}``.
        https://docs.thrivelearning.com/apidocs/search-user-by-ref-and-return-basic-user-information

        Args:
            ref: Your organisation's reference for the user. It may contain any characters; they are percent-encoded.
            timeouts: Time limits for this call. The default is the client's.

        Returns:
            The user, with fewer fields than `get` returns: only those up to the language code.

        Raises:
            NotFoundError: There is no such user.
        """
        return await self._read(ops.GET_USER_BY_REF, models.BasicUser, path={"ref": ref}, timeouts=timeouts)

    async def create(self, user: models.UserCreate, *, timeouts: Timeouts | None = None) -> models.UserAccount:
        """Create a user.

        The SDK does not repeat this call if the answer is lost: check whether the user exists before you retry.

        API: ``POST /rest/v2/users``.
        https://docs.thrivelearning.com/apidocs/create-a-user

        Args:
            user: The new user. Ref, first name and last name are required. The e-mail is required too, unless the
                login method is ``ref``.
            timeouts: Time limits for this call. The default is the client's.

        Returns:
            The account as Thrive created it.

        Raises:
            ValueError: The e-mail is missing, and the user logs in with it.
            ResultUnknown: The user was created, but Thrive did not send the account, and reading it failed.
            BadRequestError: Thrive does not accept a field.
            ConflictError: The ref or e-mail is already taken.
            UnprocessableError: The fields contradict each other.

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
            ref: Your organisation's reference for the user. You cannot change it.
            changes: The fields to change. A field you leave out (UNSET) does not change; None clears a field.
            timeouts: Time limits for this call. The default is the client's.

        Returns:
            The account after the change.

        Raises:
            BadRequestError: Thrive does not accept a field.
            NotFoundError: There is no such user.
            ConflictError: The new e-mail is already taken.
            ResultUnknown: The user was changed, but Thrive did not send the account, and reading it failed.

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
        """Suspend a user: the account stays, but the user can no longer log in.

        To end a suspension, use `thrive.provisioning.user_joined`: we know of no v2 endpoint that does it.

        API: ``PATCH /rest/v2/users/ref/{ref}/suspend``.
        https://docs.thrivelearning.com/apidocs/suspend-a-user

        Args:
            ref: Your organisation's reference for the user.
            end_date: The day or time the person left. A datetime must have a time zone. None sends no date.
            timeouts: Time limits for this call. The default is the client's.

        Returns:
            The account, with `active` False.

        Raises:
            NotFoundError: There is no such user.
            ResultUnknown: The user was suspended, but Thrive did not send the account, and reading it failed.
            ValueError: `end_date` has no time zone.
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
        """Delete a user permanently: Thrive obfuscates personal data and keeps the training history.

        You cannot link a new account to the old one.

        API: ``DELETE /rest/v2/users/ref/{ref}``.
        https://docs.thrivelearning.com/apidocs/delete-a-user

        Args:
            ref: Your organisation's reference for the user.
            timeouts: Time limits for this call. The default is the client's.

        Raises:
            BadRequestError: Thrive does not accept the ref.
            NotFoundError: There is no such user.
        """
        await self._send(ops.DELETE_USER, path={"ref": ref}, timeouts=timeouts)

    async def add_tags(
        self, user_id: str, tags: Iterable[str], *, timeouts: Timeouts | None = None
    ) -> models.Acknowledgement:
        """Add existing tags to a user.

        API: ``POST /rest/v1/users/{userId}/tags``.
        https://docs.thrivelearning.com/apidocs/add-existing-tags-to-an-existing-learner

        Args:
            user_id: The user's id (24 hexadecimal digits).
            tags: The names (not ids) of 1 to 100 tags.
            timeouts: Time limits for this call. The default is the client's.

        Returns:
            Thrive's message, or only the status if there is no message.

        Raises:
            TypeError: You passed a single string as `tags`.
            ValueError: There is no tag, a blank one, or more than 100.
            NotFoundError: There is no such user or tag.
            UnprocessableError: Thrive does not accept the tags.
        """
        body = models.UserTagsAdd(tags=batch("tags", tags, str, "tag names"))
        reply = await self._send(ops.ADD_USER_TAGS, path={"userId": user_id}, body=body, timeouts=timeouts)
        return acknowledgement(ops.ADD_USER_TAGS, reply, self._transport.problems)

    async def remove_tags(
        self, user_id: str, tags: Iterable[str], *, timeouts: Timeouts | None = None
    ) -> models.Acknowledgement:
        """Remove tags from a user.

        API: ``PATCH /rest/v1/users/{userId}/tags``.
        https://docs.thrivelearning.com/apidocs/remove-existing-tags-from-an-existing-learner

        Args:
            user_id: The user's id (24 hexadecimal digits).
            tags: The names (not ids) of 1 to 100 tags.
            timeouts: Time limits for this call. The default is the client's.

        Returns:
            Thrive's message, or only the status if there is no message.

        Raises:
            TypeError: You passed a single string as `tags`.
            ValueError: There is no tag, a blank one, or more than 100.
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
            skills: 1 to 100 skills, each by the name of its tag. Levels are the values from `thrive.skills.levels()`,
                such as 1024, or -1.
            timeouts: Time limits for this call. The default is the client's.

        Returns:
            Thrive's message, or only the status if there is no message.

        Raises:
            TypeError: You passed a single `SkillUpdate`, or an item that is not one.
            ValueError: There is no skill, or more than 100.
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
    """Return the v2 account, as far as a v1 user shows it."""
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
