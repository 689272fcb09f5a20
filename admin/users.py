"""Changes to people: who is an admin or an auditor, and how they sign in."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy.orm import Session

from admin.facts import InvalidValue, NameTaken, NotFound, WrongState
from admin.revisions import revise
from admin.shown import shown_user
from admin.tenants import living_tenant
from audit.events import record_event
from auth.passwords import WeakPassword, check_password, generate_password, hash_password, verify_password
from auth.principal import Role
from db.changes import announce
from db.database import Database
from db.reach import EVERY_TENANT
from db.tables import Tenant, User
from db.users import find_user, find_user_by_email
from values.ids import uuid7
from values.subjects import Subject

MAX_EMAIL = 254
# What a mail server makes of the rest is its own affair; this keeps out what cannot be one.
_EMAIL = re.compile(r"[^\s@\"'<>\\\x00-\x1f]{1,64}@[^\s@\"'<>\\\x00-\x1f]{1,189}")


class SetPassword(NamedTuple):
    """A person whose password was set for them, and the password, which is nowhere else."""

    user: User
    tenant: Tenant | None
    password: str


def create_user(
    database: Database, *, actor: str, email: str, role: str, tenant: str | None = None, password: str | None = None,
    must_change_password: bool = True,
) -> SetPassword:  # fmt: skip
    """Makes a person, of all tenants or of one, who must change the password at first sign-in.

    Without `password` one is made. Raises `InvalidValue`, `NameTaken`, `NotFound` or `WrongState`.
    """
    email = _checked_email(email)
    if role not in set(Role):
        raise InvalidValue(f"a role is one of {', '.join(Role)}")
    raw_password, digest = _new_password(password, email)
    with database.transaction(EVERY_TENANT) as session:
        if find_user_by_email(session, email, tenant_id=EVERY_TENANT) is not None:
            raise NameTaken("there is somebody with this address already")
        of = living_tenant(session, tenant, tenant_id=EVERY_TENANT) if tenant is not None else None
        user = User(
            id=uuid7(), email=email, role=role, tenant_id=of.id if of else None, status="active",
            password_digest=digest, must_change_password=must_change_password, generation=1,
            created_at=datetime.now(UTC),
        )  # fmt: skip
        session.add(user)
        session.flush()
        _announce(session, actor, "user.create", user, role=role)
    return SetPassword(user, of, raw_password)


def reset_password(
    database: Database, *, actor: str, user_id: str, password: str | None = None, revision: int | None = None
) -> SetPassword:
    """Sets a person's password for them; their tokens end, and they must change it at their next sign-in.

    Raises `NotFound`, `InvalidValue` or `ChangedMeanwhile`.
    """
    with database.reading(EVERY_TENANT) as session:
        email = _user(session, user_id)[0].email
    raw_password, digest = _new_password(password, email)
    with database.transaction(EVERY_TENANT) as session:
        user, tenant = _user(session, user_id)
        revise(user, revision)
        user.password_digest, user.must_change_password = digest, True
        _end_tokens(session, actor, "user.reset", user)
    return SetPassword(user, tenant, raw_password)


def change_password(database: Database, *, user_id: str, password: str, generation: int) -> None:
    """Gives a person the password that they chose; all their tokens end.

    `generation` is that of the token they asked with. Raises `InvalidValue`, `NotFound` or `WrongState`.
    """
    with database.reading(EVERY_TENANT) as session:
        user = _user_of(session, user_id, generation)
    _check(password, user.email)
    if verify_password(password, user.password_digest):
        # Whoever set it for them would go on knowing it, and it would count as changed.
        raise InvalidValue("the new password is the one that they have")
    digest = hash_password(password)
    with database.transaction(EVERY_TENANT) as session:
        user = _user_of(session, user_id, generation)
        revise(user, None)
        user.password_digest, user.must_change_password = digest, False
        _end_tokens(session, Subject.of_user(user.id), "user.password", user)


def disable_user(database: Database, *, actor: str, user_id: str, revision: int | None = None) -> User:
    """Shuts a person out. Raises `NotFound`, `WrongState` or `ChangedMeanwhile`."""
    with database.transaction(EVERY_TENANT) as session:
        user = _user_in(session, user_id, "active", revision)
        user.status = "disabled"
        _end_tokens(session, actor, "user.disable", user)
    return user


def enable_user(database: Database, *, actor: str, user_id: str, revision: int | None = None) -> User:
    """Lets a person in again. Raises `NotFound`, `WrongState` or `ChangedMeanwhile`."""
    with database.transaction(EVERY_TENANT) as session:
        user = _user_in(session, user_id, "disabled", revision)
        user.status = "active"
        _announce(session, actor, "user.enable", user)
    return user


def describe_user(database: Database, user_id: str) -> dict[str, Any]:
    """The person as administrators see them. Raises `NotFound`."""
    with database.reading(EVERY_TENANT) as session:
        return shown_user(*_user(session, user_id))


def id_of_user(database: Database, email: str) -> str:
    """The id of the person with that address. Raises `NotFound`."""
    with database.reading(EVERY_TENANT) as session:
        user = find_user_by_email(session, email, tenant_id=EVERY_TENANT)
    if user is None:
        raise NotFound("there is nobody with this address")
    return user.id


def _checked_email(email: str) -> str:
    if len(email) > MAX_EMAIL or not _EMAIL.fullmatch(email):
        raise InvalidValue("an e-mail address is written somebody@example.com")
    return email.lower()


def _new_password(password: str | None, email: str) -> tuple[str, str]:
    """The password, or one that is made, and its hash; outside any transaction, since hashing takes its time."""
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
        raise NotFound("there is no such person")
    return found


def _user_of(session: Session, user_id: str, generation: int) -> User:
    user, _ = _user(session, user_id)
    if user.generation != generation:
        raise WrongState("the password was changed meanwhile")
    return user


def _user_in(session: Session, user_id: str, status: str, revision: int | None) -> User:
    user, _ = _user(session, user_id)
    if user.status != status:
        raise WrongState(f"the person is {user.status}")
    revise(user, revision)
    return user


def _end_tokens(session: Session, actor: str, verb: str, user: User) -> None:
    user.generation += 1
    _announce(session, actor, verb, user)


def _announce(session: Session, actor: str, verb: str, user: User, **details: object) -> None:
    record_event(session, actor=actor, verb=verb, object_id=user.id, tenant_id=user.tenant_id, **details)
    announce(session, "user", user.id)
