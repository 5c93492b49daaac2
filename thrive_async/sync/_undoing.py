"""Decide what brings back what a run did, and what cannot be brought back. Does no I/O."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Generic, TypeVar

from thrive_async._base.problems import unread
from thrive_async.models import AudienceManager, AudienceMember, ManagerGrant
from thrive_async.sync._apply.journal_lines import NOBODY, Person
from thrive_async.sync._apply.records import Record
from thrive_async.sync._match.address_order import AddressChange, ordered
from thrive_async.sync._match.export_rows import Row
from thrive_async.sync._match.matching import People
from thrive_async.sync._match.user_diff import OWN, Changes, Known, Staff, as_update, changes_of, dated, differs
from thrive_async.sync._user_planning import UserChange, UserHeld, UserLeaver, UserReturn, as_it_was
from thrive_async.sync.permissions import PERMISSIONS, restored_grant, writable_permissions
from thrive_async.sync.report import Outcome

__all__ = ["Accounts", "Managers", "Members"]

P = TypeVar("P", AudienceMember, AudienceManager)
_OTHER_ACCOUNT = "held: another account has this ref now"


class Members(Generic[P]):
    """Who comes back into an audience and who goes out of it again.

    Args:
        record: The run to undo.
        present: The people of the audience, as they are now.

    Attributes:
        there: The ids of people who should be there, and are.
        gone: What need not be undone any more, with the reason.
        held: What cannot be undone, with the reason.
        ambiguous: The names that the run added and that fit several people now, with the ids of these.
    """

    def __init__(self, record: Record, present: Sequence[P]) -> None:
        self.there: dict[str, None] = {}
        self.gone: list[Outcome] = []
        self.held: list[Outcome] = []
        self.ambiguous: dict[str, tuple[str, ...]] = {}
        self._record = record
        self._known = record.people
        self._names = People(present)
        self._by_id: dict[str, P] = {one.user_id: one for one in present}
        self._removed = {*record.done("remove")}

    def back(self, removed: Iterable[str]) -> tuple[str, ...]:
        """Return the ids of the removed people to add again."""
        found: dict[str, None] = {}
        for user_id in removed:
            if user_id in self._by_id:
                self.there[user_id] = None
            elif not self._again("remove", user_id, Outcome("add", user_id, "removed")):
                found[user_id] = None
        return tuple(found)

    def out(self, added: Iterable[str]) -> tuple[P, ...]:
        """Return the added people to remove, if they are still there."""
        found: dict[str, P] = {}
        for name in added:
            owners = self._owners(name)
            if not owners:
                self.gone.append(Outcome("remove", name, "is gone already"))
            elif len(owners) > 1:
                self.ambiguous[name] = tuple(owners)
            elif owners[0] in self._removed:
                # The run took this person out under one name, and in under another.
                self.there[owners[0]] = None
            elif not self._again("add", name, Outcome("remove", owners[0], "added")):
                found[owners[0]] = self._by_id[owners[0]]
        return tuple(found.values())

    def about(self, ids: Iterable[str]) -> dict[str, Person]:
        """Return what is known of people, for the journal of the undo."""
        found: dict[str, Person] = {}
        for user_id in ids:
            one = self._by_id.get(user_id)
            then = self._known.get(("remove", user_id), Person(id=user_id))
            found[user_id] = then if one is None else Person(user_id, one.reference, one.email)
        return found

    def _owners(self, name: str) -> list[str]:
        """Return who may be the person of this name: by the id if the journal has it, else by all names it has.

        A name may have passed to someone else since. If the names belong to several people now, all of them are
        returned, and none is touched.
        """
        person = self._known.get(("add", name), NOBODY)
        names = (person.id,) if person.id else (name, person.ref, person.email)
        return list(dict.fromkeys(owner for other in names if other for owner in self._names.owners(other)))

    def _again(self, action: str, name: str, undone: Outcome) -> bool:
        later = self._record.later.get((action, name))
        if later is not None:
            because = f"held: run {later} has {undone.reason} this person again since; undo that run"
            self.held.append(Outcome(undone.action, undone.reference, because))
        return later is not None


class Managers(Members[AudienceManager]):
    """Who becomes a manager again, with what permissions, and who does not stay one."""

    def __init__(self, record: Record, present: Sequence[AudienceManager]) -> None:
        super().__init__(record, present)
        self._given = {one.user_id: writable_permissions(one.permissions) for one in present}
        # An older release did not write them.
        self._has_permissions = "version" in record.opening

    def regranted(self, removed: Iterable[str]) -> tuple[ManagerGrant, ...]:
        """Return the grants that make the removed managers what they were."""
        grants: list[ManagerGrant | None] = []
        for user_id in self.back(removed):
            if self._has_permissions:
                flags = dict.fromkeys(self._record.changes.get(user_id, ()), True)
                grants.append(self._grant("add", user_id, flags))
            else:
                self._hold("add", user_id, "the journal does not say what this manager was allowed to do")
        return tuple(grant for grant in grants if grant is not None)

    def put_back(self, changed: Iterable[str]) -> tuple[ManagerGrant, ...]:
        """Return the grants that give managers the permissions that they had before."""
        grants = [self._before(name) for name in changed]
        return tuple(grant for grant in grants if grant is not None)

    def _before(self, name: str) -> ManagerGrant | None:
        owners = self._owners(name)
        changes = self._record.changes.get(name, {})
        if len(owners) != 1:
            self.gone.append(Outcome("update", name, "is no manager any more" if not owners else "fits several people"))
            return None
        (user_id,) = owners
        given = self._given[user_id]
        if not self._has_permissions:
            self._hold("update", user_id, "the journal does not say what this manager was allowed to do")
        elif "permissions" in unread(self._by_id[user_id]):
            self._hold("update", user_id, "the permissions could not be read; see ThriveClient.problems")
        elif all((permission in given) == old for permission, (old, _new) in changes.items()):
            self.there[user_id] = None
        elif any((permission in given) != new for permission, (_old, new) in changes.items()):
            self._hold("update", user_id, "the permissions were changed after this run")
        else:
            flags = {**dict.fromkeys(given, True), **{permission: old for permission, (old, _new) in changes.items()}}
            return self._grant("update", user_id, flags)
        return None

    def _grant(self, action: str, user_id: str, flags: Mapping[str, bool]) -> ManagerGrant | None:
        unknown = sorted(flags.keys() - PERMISSIONS.values())
        if unknown:
            self._hold(action, user_id, f"this release does not know the permission {unknown[0]}")
            return None
        return restored_grant({"reference": user_id, "permissions": flags})

    def _hold(self, action: str, user_id: str, reason: str) -> None:
        self.held.append(Outcome(action, user_id, f"held: {reason}"))


class Accounts:
    """What brings users back to what they were.

    Args:
        record: The run to undo.
        users: The users as they are now, without the deleted ones.

    Attributes:
        by_ref: The users, by ref.
        unchanged: How many users already are what they were.
        gone: What need not be undone any more, with the reason.
        held: What cannot be undone, with the reason.
    """

    def __init__(self, record: Record, users: Iterable[Known]) -> None:
        users = list(users)
        self.by_ref = {user.ref: user for user in users if user.ref}
        self.unchanged = 0
        self.gone: list[Outcome] = []
        self.held: list[UserHeld] = []
        self._record = record
        self._known = record.people
        self._staff = Staff(self.by_ref)
        self._owners = {user.email.lower(): user.ref or "a user without a ref" for user in users if user.email}

    def _found(self, done: str, refs: Iterable[str], undo: str) -> Iterator[Known]:
        """Yield the users that a kind of change was made to, unless they are other people's accounts now."""
        for ref in refs:
            user = self.by_ref.get(ref)
            user_id = self._known.get((done, ref), NOBODY).id
            later = self._record.later.get((done, ref))
            if user is None:
                self.gone.append(Outcome(undo, ref, "the account is gone, or has another ref now"))
            elif user_id is not None and user.user_id != user_id:
                self._hold(user, undo, _OTHER_ACCOUNT)
            elif later is not None and done in ("suspend", "unsuspend"):
                self._hold(user, undo, f"held: run {later} has {done}ed this user again since; undo that run")
            else:
                yield user

    def _hold(self, user: Known, action: str, reason: str) -> None:
        self.held.append(UserHeld(user_id=user.user_id, ref=str(user.ref), action=action, reason=reason))

    def out(self, done: str, refs: Iterable[str]) -> tuple[UserLeaver, ...]:
        """Return the users to suspend, because the run created or unsuspended them."""
        found: list[UserLeaver] = []
        for user in self._found(done, refs, "suspend"):
            if user.active:
                found.append(UserLeaver(user_id=user.user_id, ref=str(user.ref), email=user.email))
            else:
                self.gone.append(Outcome("suspend", str(user.ref), "is suspended already"))
        return tuple(found)

    def back(self, refs: Iterable[str], *, unsuspend: bool) -> tuple[UserReturn, ...]:
        """Return the users to unsuspend, because the run suspended them."""
        found: list[UserReturn] = []
        for user in self._found("suspend", refs, "unsuspend"):
            if user.active:
                self.gone.append(Outcome("unsuspend", str(user.ref), "is active already"))
            elif not unsuspend:
                self._hold(user, "unsuspend", "held: stays suspended unless you ask to unsuspend returning users")
            elif user.unread:
                lost = ", ".join(sorted(user.unread))
                self._hold(user, "unsuspend", f"held: {lost} could not be read in Thrive's answer")
            else:
                try:
                    account = as_it_was(Row(ref=str(user.ref), values={}, additional={}), user, self._staff)
                except (TypeError, ValueError) as error:
                    self._hold(user, "unsuspend", f"held: {error}")
                else:
                    found.append(UserReturn(user_id=user.user_id, ref=str(user.ref), account=account))
        return tuple(found)

    def put_back(self, refs: Iterable[str]) -> tuple[UserChange, ...]:
        """Return the updates that give fields the values that they had, if they still have those of the run."""
        wanted: dict[str, tuple[Row, Known, Changes]] = {}
        for user in self._found("update", refs, "update"):
            ref = str(user.ref)
            row = self._row(user, self._record.changes.get(ref, {}))
            changes = changes_of(row, user, self._staff)
            if changes:
                wanted[ref] = row, user, changes
            elif not any(one.ref == ref for one in self.held):
                self.unchanged += 1
        moves = [AddressChange(ref, *changes["email"]) for ref, (_, _, changes) in wanted.items() if "email" in changes]
        for ref, reason in ordered(moves, self._owners).held.items():
            old, new = wanted[ref][2].pop("email")
            self._hold(wanted[ref][1], "update", f"held: email {old} -> {new}: {reason}")
        updates = (self._update(*one) for one in wanted.values() if one[2])
        return tuple(change for change in updates if change is not None)

    def _update(self, row: Row, user: Known, changes: Changes) -> UserChange | None:
        try:
            update = as_update(row, user, changes)
        except (TypeError, ValueError) as error:
            self._hold(user, "update", f"held: {error}")
            return None
        return UserChange(user_id=user.user_id, ref=row.ref, update=update, changes=changes)

    def _row(self, user: Known, changes: Mapping[str, Sequence[Any]]) -> Row:
        """Return the old values of the fields that nobody has changed since."""
        values: dict[str, Any] = {}
        additional: dict[str, Any] = {}
        for name, (old, new) in changes.items():
            own = name.startswith(OWN)
            if ("additional_fields" if own else name) in user.unread or not (own or name in user.values):
                self._hold(user, "update", f"held: {name} could not be read in Thrive's answer")
            elif self._is(user, name, old):
                continue
            elif not self._is(user, name, new):
                self._hold(user, "update", f"held: {name} was changed after this run, and is left as it is")
            elif name == "manager_ref" and old is not None and old not in self.by_ref:
                self._hold(user, "update", f"held: no user has the ref {old} of the manager before")
            elif own:
                additional[name.removeprefix(OWN)] = old
            else:
                values[name] = old
        return Row(ref=str(user.ref), values=dated(values), additional=additional)

    def _is(self, user: Known, name: str, value: Any) -> bool:
        if name.startswith(OWN):
            return bool(user.additional.get(name.removeprefix(OWN)) == value)
        if name == "manager_ref":
            return value == self._staff.manager_of(user) or self._staff.reports_to(user, value) is True
        return not differs(dated({name: value})[name], user.values[name])
