"""Reads the holder of a key or of a token from the database."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from ipaddress import ip_network

from sqlalchemy.orm import Session

from auth.keyring import Keyring
from auth.principal import Partner, Person, Principal, Role, Scope
from auth.signing_keys import THE_KEYS
from auth.tokens import Claims, InvalidToken, Tokens
from db.database import ChangedMeanwhile, Database, DatabaseUnavailable
from db.keys import Credential, credentials_of, find_credential, renew_digest
from db.plans import DEFAULT_PLAN, find_plan
from db.policies import Policy, policies_of, policies_of_caller
from db.reach import EVERY_TENANT, LOOKUP
from db.revoked_tokens import is_revoked
from db.tenants import DEFAULT_TIME_ZONE
from db.users import find_user
from values.subjects import Subject

MAX_SHARED = 10_000


class Callers:
    """Reads principals. Each method is one short transaction; all raise `DatabaseUnavailable` or `WrongSecret`."""

    def __init__(self, database: Database, keyring: Keyring, tokens: Tokens, *, has_people: bool) -> None:
        self._database = database
        self._keyring = keyring
        self._tokens = tokens
        self._has_people = has_people
        #: Tenants of one plan have equal policies, which are kept once.
        self._shared: dict[tuple[Policy, ...], tuple[Policy, ...]] = {}

    def by_key(self, digests: Sequence[str]) -> tuple[str, Principal] | None:
        """Returns the caller whose key has one of these digests, with the newest of them."""
        with self._database.reading(LOOKUP) as session:
            credential = find_credential(session, digests, tenant_id=EVERY_TENANT)
            if credential is None:
                return None
            partner = self._partner(session, credential)
        if credential.secret.digest != digests[0]:
            self._renew(credential.secret.digest, digests[0])
        return digests[0], partner

    def _renew(self, digest: str, newest: str) -> None:
        """Moves a key's digest to the newest pepper."""
        # If this fails, the key still works, and the next process that reads the key tries again.
        with suppress(DatabaseUnavailable, ChangedMeanwhile), self._database.transaction(EVERY_TENANT) as session:
            renew_digest(session, digest, newest, self._keyring.peppers[-1].number, tenant_id=EVERY_TENANT)

    def by_token(self, raw_token: bytes) -> Principal | None:
        """Returns the caller whose token this is."""
        try:
            claims = self._tokens.verify(raw_token)
        except InvalidToken:
            return None
        with self._database.reading(LOOKUP) as session:
            if is_revoked(session, claims.token_id):
                return None
            find = self._key_holder if claims.subject.kind == "key" else self._person
            holder = find(session, claims)
        expires_at = datetime.fromtimestamp(claims.expires_at, UTC)
        return holder and holder.by_token(claims.token_id, claims.signing_key, expires_at, claims.token_id, THE_KEYS)

    def _key_holder(self, session: Session, claims: Claims) -> Partner | None:
        for credential in credentials_of(session, claims.subject.id, tenant_id=EVERY_TENANT):
            if credential.secret.id == claims.credential:
                named = claims.scope.split()
                return self._partner(session, credential).narrowed(frozenset(s for s in Scope if s in named))
        return None

    def _partner(self, session: Session, credential: Credential) -> Partner:
        key, tenant = credential.key, credential.tenant
        policies = policies_of_caller(session, key, tenant, tenant_id=tenant.id)
        expiries = [at for at in (key.expires_at, key.revoked_at, credential.secret.expires_at) if at is not None]
        return Partner(
            subject=Subject.of_key(key.id),
            key_id=key.id,
            tenant_id=tenant.id,
            tenant=tenant.name,
            reach=tenant.id,
            is_active=tenant.status == "active" and key.revoked_at is None,
            scopes=frozenset(Scope(scope) for scope in key.scopes),
            models=None if key.models is None else frozenset(key.models),
            cidrs=tuple(ip_network(cidr) for cidr in key.cidrs or ()),
            policies=self._share(policies),
            time_zone=tenant.time_zone,
            concurrency=credential.plan.concurrency,
            not_before=key.not_before,
            expires_at=min(expiries, default=None),
            credential=credential.secret.id,
            fingerprint_key=self._keyring.fingerprint_key(session, tenant_id=tenant.id),
            valid_from=key.not_before.timestamp() if key.not_before else 0.0,
            valid_until=min((at.timestamp() for at in expiries), default=float("inf")),
            account_id=key.id,
            pool_id=tenant.id,
            depends_on=(key.id, tenant.id),
        )

    def _person(self, session: Session, claims: Claims) -> Person | None:
        found = find_user(session, claims.subject.id, tenant_id=EVERY_TENANT)
        plan = find_plan(session, DEFAULT_PLAN)
        if not self._has_people or found is None or plan is None or str(found[0].generation) != claims.credential:
            return None
        user, tenant = found
        return Person(
            subject=claims.subject,
            user_id=user.id,
            email=user.email,
            reach=user.tenant_id or EVERY_TENANT,
            role=Role(user.role),
            tenant_id=user.tenant_id,
            tenant=tenant.name if tenant else None,
            is_active=user.status == "active" and (tenant is None or tenant.status == "active"),
            scopes=frozenset(),
            policies=self._share(_of_person(policies_of(session, "plan", plan.id, tenant_id=EVERY_TENANT))),
            time_zone=tenant.time_zone if tenant else DEFAULT_TIME_ZONE,
            concurrency=plan.concurrency,
            not_before=None,
            expires_at=None,
            valid_from=0.0,
            valid_until=float("inf"),
            must_change_password=user.must_change_password,
            generation=user.generation,
            account_id=claims.subject,
            pool_id=claims.subject,
            depends_on=(user.id, *([user.tenant_id] if user.tenant_id else [])),
        )

    def _share(self, policies: tuple[Policy, ...]) -> tuple[Policy, ...]:
        if len(self._shared) >= MAX_SHARED:
            self._shared.clear()
        return self._shared.setdefault(policies, policies)


def _of_person(policies: tuple[Policy, ...]) -> tuple[Policy, ...]:
    """The policies that count what a person does: no person asks a model for predictions."""
    return tuple(policy for policy in policies if policy.model is None)
