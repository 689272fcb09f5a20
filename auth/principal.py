"""Who is calling: all that the rest of the program knows of a caller."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network

from db.addresses import parse_address
from db.policies import Policy


class Scope(StrEnum):
    """What a key may be allowed to do."""

    PREDICT = "predict"
    MODELS_READ = "models:read"
    AUDIT_READ_OWN = "audit:read:own"


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller whose credential was found, as it stood when it was read."""

    subject: str
    key_id: str
    tenant_id: str
    tenant: str
    is_active: bool
    scopes: frozenset[Scope]
    models: frozenset[str] | None
    cidrs: tuple[IPv4Network | IPv6Network, ...]
    policies: tuple[Policy, ...]
    concurrency: int | None
    not_before: datetime | None
    expires_at: datetime | None
    fingerprint_key: bytes = field(repr=False)
    # The two ends as seconds since 1970: what a request compares.
    valid_from: float
    valid_until: float

    def may_call_at(self, now: float) -> bool:
        """Whether its tenant is active and `now`, in seconds since 1970, lies within its life."""
        return self.is_active and self.valid_from <= now < self.valid_until

    def may_call_from(self, address: str) -> bool:
        """Whether the key may be used from that address; a key without CIDRs may be used from anywhere."""
        if not self.cidrs:
            return True
        source = parse_address(address)
        return source is not None and any(source in network for network in self.cidrs)

    def may_use(self, model: str) -> bool:
        """Whether the key itself is limited to other models; the tenant's grants are the registry's to judge."""
        return self.models is None or model in self.models
