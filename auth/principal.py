"""The principal: everything that the rest of the program knows of a caller."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network
from typing import Self

from db.policies import Policy
from db.reach import Reach
from values.addresses import parse_address
from values.subjects import Subject


class Scope(StrEnum):
    """A permission that a key may have."""

    PREDICT = "predict"
    MODELS_READ = "models:read"
    AUDIT_READ_OWN = "audit:read:own"


class Role(StrEnum):
    """The work of a person, for all tenants or for one."""

    ADMIN = "admin"
    AUDITOR = "auditor"


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """A caller with a known credential, as the database last held it: a partner's program, or a person."""

    subject: Subject
    is_active: bool
    scopes: frozenset[Scope]
    #: The tenant whose rows it may see, or every tenant.
    reach: Reach
    policies: tuple[Policy, ...]
    #: The tenant's, whose days and months calendar limits follow.
    time_zone: str
    concurrency: int | None
    not_before: datetime | None
    expires_at: datetime | None
    # Both ends of its life in seconds since 1970, which every request compares with the time.
    valid_from: float
    valid_until: float
    #: The ids under which its own and its shared limits are counted: the key's and the tenant's, or a person's twice.
    account_id: str
    pool_id: str
    #: The ids of the objects whose change makes this principal obsolete: key, tenant, user, token.
    depends_on: tuple[str, ...]
    #: The digest of the credential, under which the directory remembers this caller.
    handle: str = field(default="", repr=False)
    #: If the caller presented a token: the token's id, and the number of the key that signed it.
    token_id: str | None = None
    signing_key: int | None = None

    def may_call_at(self, now: float) -> bool:
        """Whether it is active and `now`, in seconds since 1970, lies within its life."""
        return self.is_active and self.valid_from <= now < self.valid_until

    def may_call_from(self, address: str) -> bool:  # noqa: ARG002  a person may call from anywhere
        """Whether it may call from that address."""
        return True

    def by_token(self, token_id: str, signing_key: int, expires_at: datetime, *depends_on: str) -> Self:
        """Returns the same caller by a token, which ends at `expires_at` or with the caller's own credential."""
        end = min(expires_at, self.expires_at) if self.expires_at else expires_at
        return replace(
            self,
            token_id=token_id,
            signing_key=signing_key,
            expires_at=end,
            valid_until=min(self.valid_until, expires_at.timestamp()),
            depends_on=(*self.depends_on, *depends_on),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Partner(Principal):
    """A tenant's program, with a key or a token bought with it."""

    key_id: str
    tenant_id: str
    tenant: str
    models: frozenset[str] | None
    cidrs: tuple[IPv4Network | IPv6Network, ...]
    fingerprint_key: bytes = field(repr=False)
    #: The id of the secret that the caller presented or bought the token with.
    credential: str = field(repr=False)

    def may_call_from(self, address: str) -> bool:
        """Whether the key may be used from that address; a key without CIDRs may be used from anywhere."""
        if not self.cidrs:
            return True
        source = parse_address(address)
        return source is not None and any(source in network for network in self.cidrs)

    def may_use(self, model: str) -> bool:
        """Whether the key's own terms allow the model; the registry judges the tenant's grants."""
        return self.models is None or model in self.models

    def narrowed(self, scopes: frozenset[Scope]) -> Self:
        """Returns the same caller with those of its scopes alone."""
        return replace(self, scopes=self.scopes & scopes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Person(Principal):
    """An admin or an auditor, of all tenants or of one."""

    user_id: str
    email: str = field(repr=False)
    role: Role
    tenant_id: str | None
    tenant: str | None
    must_change_password: bool
    #: Only tokens of this generation work: every new password, reset and disabling raises it.
    generation: int
