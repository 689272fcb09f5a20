"""Changes to people: their roles, their standing and their passwords."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy.orm import Session

from admin.changes import Actor, change_by, reading_by
from admin.facts import InvalidValue, NameTaken, NotFound, WrongState
from admin.revisions import revise
from admin.shown import shown_user
from admin.tenants import living_tenant
from audit.events import record_event
from auth.passwords import WeakPassword, check_password, generate_password, hash_password, verify_password
from auth.principal import Person, Role
from db.changes import announce
from db.database import Database
from db.reach import EVERY_TENANT
from db.tables import Tenant, User
from db.users import find_user, find_user_by_email
from values.ids import uuid7

MAX_EMAIL = 254
# Mail servers judge the rest; this keeps out texts that cannot be an address.
_EMAIL = re.compile(r"[^\s@\"'<>\\\x00-\x1f]{1,64}@[^\s@\"'<>\\\x00-\x1f]{1,189}")


class SetPassword(NamedTuple):
    """A person with the new password that an admin set, which is stored nowhere."""

    user: User
    described: dict[str, Any]
    password: str
    is_made: bool

    @property
    def shown(self) -> dict[str, Any]:
        """The person as they are shown this once; a password that the caller chose is not repeated."""
        return self.described | ({"password": self.password} if self.is_made else {})


def create_user(
    database: Database,
    *,
    actor: Actor,
    email: str,
    role: str,
    tenant: str | None = None,
    password: str | None = None,
    must_change_password: bool = True,
) -> SetPassword:
    """Makes a person, of all tenants or of one, who must change the password at the first sign-in.

    Without `password` this makes one. Raises `InvalidValue`, `NameTaken`, `NotFound` or `WrongState`.
    """
    email = _checked_email(email)
    if role not in set(Role):
        raise InvalidValue(f"a role is one of {', '.join(Role)}")
    raw_password, digest = _new_password(password, email)
    with change_by(database, actor, EVERY_TENANT) as session:
        if find_user_by_email(session, email, tenant_id=EVERY_TENANT) is not None:
            raise NameTaken("a person with this address exists already")
        of = living_tenant(session, tenant, tenant_id=EVERY_TENANT) if tenant is not None else None
        user = User(
            id=uuid7(),
            email=email,
            role=role,
            tenant_id=of.id if of else None,
            status="active",
            password_digest=digest,
            must_change_password=must_change_password,
            generation=1,
            created_at=datetime.now(UTC),
        )
        session.add(user)
        session.flush()
        _announce(session, actor, "user.create", user, role=role)
        return SetPassword(user, shown_user(user, of), raw_password, password is None)


def reset_password(
    database: Database, *, actor: Actor, user_id: str, password: str | None = None, revision: int | None = None
) -> SetPassword:
    """Sets a person's password for them; their tokens end, and they must change it at their next sign-in.

    Raises `NotFound`, `InvalidValue` or `ChangedMeanwhile`.
    """
    with reading_by(database, actor, EVERY_TENANT) as session:
        email = _user(session, user_id)[0].email
    raw_password, digest = _new_password(password, email)
    with change_by(database, actor, EVERY_TENANT) as session:
        user, tenant = _user(session, user_id)
        revise(user, revision)
        user.password_digest, user.must_change_password = digest, True
        _end_tokens(session, actor, "user.reset", user)
        return SetPassword(user, shown_user(user, tenant), raw_password, password is None)


def change_password(database: Database, *, actor: Person, password: str) -> None:
    """Gives a person the password that they chose; all their tokens end.

    Raises `InvalidValue` or `NotAuthenticated`.
    """
    with reading_by(database, actor, EVERY_TENANT) as session:
        user, _ = _user(session, actor.user_id)
    _check(password, user.email)
    if verify_password(password, user.password_digest):
        # The person who set the password would still know it, and it would count as changed.
        raise InvalidValue("the new password is the one that they have")
    digest = hash_password(password)
    with change_by(database, actor, EVERY_TENANT) as session:
        user, _ = _user(session, actor.user_id)
        revise(user, None)
        user.password_digest, user.must_change_password = digest, False
        _end_tokens(session, actor, "user.password", user)


def disable_user(database: Database, *, actor: Actor, user_id: str, revision: int | None = None) -> dict[str, Any]:
    """Shuts a person out and returns them as they are shown. Raises `NotFound`, `WrongState` or `ChangedMeanwhile`."""
    with change_by(database, actor, EVERY_TENANT) as session:
        user, tenant = _user_in(session, user_id, "active", revision)
        user.status = "disabled"
        _end_tokens(session, actor, "user.disable", user)
        return shown_user(user, tenant)


def enable_user(database: Database, *, actor: Actor, user_id: str, revision: int | None = None) -> dict[str, Any]:
    """Lets a person in again and returns them as they are shown.

    Raises `NotFound`, `WrongState` or `ChangedMeanwhile`.
    """
    with change_by(database, actor, EVERY_TENANT) as session:
        user, tenant = _user_in(session, user_id, "disabled", revision)
        user.status = "active"
        _announce(session, actor, "user.enable", user)
        return shown_user(user, tenant)


def describe_user(database: Database, user_id: str) -> dict[str, Any]:
    """Returns the person as administrators see them. Raises `NotFound`."""
    with database.reading(EVERY_TENANT) as session:
        return shown_user(*_user(session, user_id))


def id_of_user(database: Database, email: str) -> str:
    """Returns the id of the person with that address. Raises `NotFound`."""
    with database.reading(EVERY_TENANT) as session:
        user = find_user_by_email(session, email, tenant_id=EVERY_TENANT)
    if user is None:
        raise NotFound("nobody has this address")
    return user.id


def _checked_email(email: str) -> str:
    if len(email) > MAX_EMAIL or not _EMAIL.fullmatch(email):
        raise InvalidValue("an e-mail address is written somebody@example.com")
    return email.lower()


def _new_password(password: str | None, email: str) -> tuple[str, str]:
    """Returns the password, or a new one, with its hash; call it outside any transaction, since hashing is slow."""
    raw_password = generate_password() if password is None else password
    _check(raw_password, email)
    return raw_password, hash_password(raw_password)


def _check(password: str, email: str) -> None:
    try:
        check_password(password, email)
    except WeakPassword as error:
        raise InvalidValue(str(error)) from None


def _user(session: Session, user_id: str) -> tuple[User, Tenant | None]:
    found = find_user(session, user_id, tenant_id=EVERY_TENANT)
    if found is None:
        raise NotFound("the person does not exist")
    return found


def _user_in(session: Session, user_id: str, status: str, revision: int | None) -> tuple[User, Tenant | None]:
    user, tenant = _user(session, user_id)
    if user.status != status:
        raise WrongState(f"the person is {user.status}")
    revise(user, revision)
    return user, tenant


def _end_tokens(session: Session, actor: Actor, verb: str, user: User) -> None:
    user.generation += 1
    _announce(session, actor, verb, user)


def _announce(session: Session, actor: Actor, verb: str, user: User, **details: object) -> None:
    record_event(session, actor=actor.subject, verb=verb, object_id=user.id, tenant_id=user.tenant_id, **details)
    announce(session, "user", user.id)
