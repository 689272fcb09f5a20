"""The tables. Instants are UTC. Ids are UUIDs as text, except a key's id, which is part of the key itself."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Dialect,
    Double,
    ForeignKey,
    Index,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Instant(TypeDecorator[datetime]):
    """An aware UTC instant: `timestamptz` on PostgreSQL, ISO text without an offset on SQLite."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002  the base class's signature
        if value is not None and value.tzinfo is None:
            raise ValueError("an instant needs a time zone")
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002  the base class's signature
        return None if value is None else value.replace(tzinfo=value.tzinfo or UTC).astimezone(UTC)


Id = Uuid(as_uuid=False)


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012  the base class declares it so
        datetime: Instant,
        str: Text,
        dict[str, Any]: JSON,
        list[str]: JSON,
        int: BigInteger,
    }


# --- callers ------------------------------------------------------------------------------------------------------


class Plan(Base):
    """A named set of limits that tenants share; they apply to each of its tenants separately."""

    __tablename__ = "plans"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    name: Mapped[str] = mapped_column(String(63), unique=True)
    concurrency: Mapped[int | None]
    created_at: Mapped[datetime]
    revision: Mapped[int] = mapped_column(server_default=text("1"))
    __mapper_args__ = {"version_id_col": revision}  # noqa: RUF012  the base class declares it so


class Tenant(Base):
    """A company whose keys, limits and records are its own."""

    __tablename__ = "tenants"
    __table_args__ = (CheckConstraint("status IN ('active', 'suspended', 'erased')", name="status"),)

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    name: Mapped[str] = mapped_column(String(63), unique=True)
    plan_id: Mapped[str] = mapped_column(Id, ForeignKey("plans.id"), index=True)
    #: The instant of its last change to another plan.
    plan_since: Mapped[datetime | None]
    status: Mapped[str] = mapped_column(String(16))
    #: Its IANA name: calendar limits follow its days and months.
    time_zone: Mapped[str] = mapped_column(String(64), server_default=text("'UTC'"))
    created_at: Mapped[datetime]
    erased_at: Mapped[datetime | None]
    revision: Mapped[int] = mapped_column(server_default=text("1"))
    __mapper_args__ = {"version_id_col": revision}  # noqa: RUF012  the base class declares it so


class PolicyRow(Base):
    """A limit of a plan, a tenant or a key: so many requests or rows in any trailing window, or each day or month.

    The column `text` is the limit as it was written, and `since` the beginning of the first limit of this name.
    """

    __tablename__ = "policies"
    __table_args__ = (
        CheckConstraint("unit IN ('requests', 'rows')", name="unit"),
        CheckConstraint("amount > 0 AND window_seconds > 0", name="positive"),
        CheckConstraint("calendar IN ('day', 'month')", name="calendar"),
        CheckConstraint("(calendar IS NULL) <> (window_seconds IS NULL)", name="one_window"),
        CheckConstraint(
            "(CASE WHEN plan_id IS NULL THEN 0 ELSE 1 END) + (CASE WHEN tenant_id IS NULL THEN 0 ELSE 1 END)"
            " + (CASE WHEN key_id IS NULL THEN 0 ELSE 1 END) = 1",
            name="one_owner",
        ),
        UniqueConstraint("plan_id", "name"),
        UniqueConstraint("tenant_id", "name"),
        UniqueConstraint("key_id", "name"),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    plan_id: Mapped[str | None] = mapped_column(Id, ForeignKey("plans.id", ondelete="CASCADE"))
    tenant_id: Mapped[str | None] = mapped_column(Id, ForeignKey("tenants.id", ondelete="CASCADE"))
    key_id: Mapped[str | None] = mapped_column(ForeignKey("keys.id", ondelete="CASCADE"))
    unit: Mapped[str] = mapped_column(String(16))
    amount: Mapped[int]
    window_seconds: Mapped[int | None]
    calendar: Mapped[str | None] = mapped_column(String(16))
    model: Mapped[str | None] = mapped_column(String(63))
    text: Mapped[str] = mapped_column(String(100))
    since: Mapped[datetime]


class Key(Base):
    """A tenant's API key without its secrets; its limits and its usage outlive a rotated secret."""

    __tablename__ = "keys"

    id: Mapped[str] = mapped_column(String(12), primary_key=True)
    tenant_id: Mapped[str] = mapped_column(Id, ForeignKey("tenants.id"), index=True)
    label: Mapped[str] = mapped_column(String(200))
    scopes: Mapped[list[str]]
    models: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))
    cidrs: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))
    not_before: Mapped[datetime | None]
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    last_used_at: Mapped[datetime | None]
    revision: Mapped[int] = mapped_column(server_default=text("1"))
    __mapper_args__ = {"version_id_col": revision}  # noqa: RUF012  the base class declares it so


class KeySecret(Base):
    """One secret of a key: the HMAC-SHA-256 of the whole key under the pepper that `pepper_id` numbers, in hex.

    Tokens name the secret by `id`, which stays when the digest moves to another pepper.
    """

    __tablename__ = "key_secrets"

    id: Mapped[str] = mapped_column(Id, unique=True)
    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    key_id: Mapped[str] = mapped_column(ForeignKey("keys.id", ondelete="CASCADE"), index=True)
    pepper_id: Mapped[int]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]


class WrappedSecret(Base):
    """A random key, encrypted under SECRET: a pepper, a signing key, a tenant's fingerprint key."""

    __tablename__ = "wrapped_secrets"
    __table_args__ = (
        Index(
            "uq_wrapped_secrets_global",
            "purpose",
            "number",
            unique=True,
            sqlite_where=text("tenant_id IS NULL"),
            postgresql_where=text("tenant_id IS NULL"),
        ),
        UniqueConstraint("tenant_id", "purpose", "number"),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    purpose: Mapped[str] = mapped_column(String(32))
    number: Mapped[int]
    tenant_id: Mapped[str | None] = mapped_column(Id, ForeignKey("tenants.id"))
    wrapped: Mapped[str]
    created_at: Mapped[datetime]
    retired_at: Mapped[datetime | None]


class User(Base):
    """A person: admin or auditor, of all tenants or of one. Counting `generation` up ends their tokens."""

    __tablename__ = "users"
    __table_args__ = (
        CheckConstraint("role IN ('admin', 'auditor')", name="role"),
        CheckConstraint("status IN ('active', 'disabled')", name="status"),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    email: Mapped[str] = mapped_column(String(254), unique=True)
    role: Mapped[str] = mapped_column(String(16))
    tenant_id: Mapped[str | None] = mapped_column(Id, ForeignKey("tenants.id"), index=True)
    status: Mapped[str] = mapped_column(String(16))
    password_digest: Mapped[str]
    must_change_password: Mapped[bool]
    generation: Mapped[int]
    created_at: Mapped[datetime]
    last_sign_in_at: Mapped[datetime | None]
    revision: Mapped[int] = mapped_column(server_default=text("1"))
    __mapper_args__ = {"version_id_col": revision}  # noqa: RUF012  the base class declares it so


class SignInFailures(Base):
    """Failures in a row to sign in; `counter` is a keyed digest of the name that was given, known or not."""

    __tablename__ = "sign_in_failures"

    counter: Mapped[str] = mapped_column("place", String(64), primary_key=True)
    count: Mapped[int]
    last_at: Mapped[datetime] = mapped_column(index=True)


class RevokedToken(Base):
    """A token that was ended before its time, by its `jti`."""

    __tablename__ = "revoked_tokens"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    expires_at: Mapped[datetime] = mapped_column(index=True)


# --- models -------------------------------------------------------------------------------------------------------


class Model(Base):
    """A name that callers ask for; visible to all tenants, or to those it is granted to."""

    __tablename__ = "models"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    name: Mapped[str] = mapped_column(String(63), unique=True)
    description: Mapped[str]
    is_public: Mapped[bool]
    created_at: Mapped[datetime]


class Version(Base):
    """One trained artifact of a model, by the SHA-256 of its bytes, with its compiled form and its tests' report."""

    __tablename__ = "versions"
    __table_args__ = (
        UniqueConstraint("model_id", "name"),
        CheckConstraint("status IN ('active', 'retired')", name="status"),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    model_id: Mapped[str] = mapped_column(Id, ForeignKey("models.id"))
    name: Mapped[str] = mapped_column(String(63))
    status: Mapped[str] = mapped_column(String(16))
    format: Mapped[str] = mapped_column(String(16))
    artifact_sha256: Mapped[str] = mapped_column(String(64))
    compiled_sha256: Mapped[str | None] = mapped_column(String(64))
    compilation: Mapped[dict[str, Any]]
    row_schema: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
    #: A keyed digest of the columns above that decide what is loaded, and how.
    mac: Mapped[str] = mapped_column(String(64), server_default=text("''"))


class Alias(Base):
    """A moving name for a version of a model, such as `production`.

    The canary, if there is one, answers `share` percent of the keys. `history` holds the ids of the versions that the
    alias named before, the last one last.
    """

    __tablename__ = "aliases"

    model_id: Mapped[str] = mapped_column(Id, ForeignKey("models.id"), primary_key=True)
    name: Mapped[str] = mapped_column(String(63), primary_key=True)
    version_id: Mapped[str] = mapped_column(Id, ForeignKey("versions.id"), index=True)
    canary_version_id: Mapped[str | None] = mapped_column(Id, ForeignKey("versions.id"))
    share: Mapped[float] = mapped_column(Double, server_default=text("0"))
    history: Mapped[list[str]] = mapped_column(server_default=text("'[]'"))
    changed_at: Mapped[datetime]
    revision: Mapped[int] = mapped_column(server_default=text("1"))
    __mapper_args__ = {"version_id_col": revision}  # noqa: RUF012  the base class declares it so


class Grant(Base):
    """A tenant's right to use a model that is not visible to all."""

    __tablename__ = "grants"

    model_id: Mapped[str] = mapped_column(Id, ForeignKey("models.id"), primary_key=True)
    tenant_id: Mapped[str] = mapped_column(Id, ForeignKey("tenants.id"), primary_key=True, index=True)
    created_at: Mapped[datetime]


# --- the prediction log -------------------------------------------------------------------------------------------


class PredictionRecord(Base):
    """One attempt to get a prediction, sealed by `leaf` (see audit/record.py).

    `salt`, `inputs`, `outputs`, `address`, `client_request_id` and `fingerprint` can be erased and the seal still
    verifies: it holds only salted digests of them.

    `form` is that of the bytes that were sealed. Records of form 1 do not say what was charged.

    A record names its tenant, key, model and version by ids without foreign keys: it outlives them all. On PostgreSQL
    the table is partitioned by month of `at`, so that every unique key must hold `at`.
    """

    __tablename__ = "prediction_records"
    __table_args__ = (
        Index("ix_prediction_records_tenant_id_at_request_id", "tenant_id", "at", "request_id"),
        Index(
            "ix_prediction_records_withdrawn",
            "request_id",
            sqlite_where=text("outcome = 'withdrawn'"),
            postgresql_where=text("outcome = 'withdrawn'"),
        ),
        Index("ix_prediction_records_chain_id_batch_number", "chain_id", "batch_number"),
        {"postgresql_partition_by": "RANGE (at)"},
    )

    at: Mapped[datetime] = mapped_column(primary_key=True)
    request_id: Mapped[str] = mapped_column(Id, primary_key=True)
    client_request_id: Mapped[str | None]
    tenant_id: Mapped[str] = mapped_column(Id)
    key_id: Mapped[str | None] = mapped_column(String(12))
    subject: Mapped[str]
    model_id: Mapped[str | None] = mapped_column(Id)
    version_id: Mapped[str | None] = mapped_column(Id)
    artifact_sha256: Mapped[str | None] = mapped_column(String(64))
    route: Mapped[str]
    rows: Mapped[int]
    count: Mapped[int]
    outcome: Mapped[str] = mapped_column(String(64))
    status: Mapped[int]
    latency_us: Mapped[int]
    inference_us: Mapped[int | None]
    charged_requests: Mapped[int | None]
    charged_rows: Mapped[int | None]
    trace_id: Mapped[str | None] = mapped_column(String(32))
    job_id: Mapped[str | None] = mapped_column(Id)
    form: Mapped[int] = mapped_column(server_default=text("1"))
    address: Mapped[str | None] = mapped_column(String(64))
    fingerprint: Mapped[str | None] = mapped_column(String(64))
    client_digest: Mapped[str] = mapped_column(String(64))
    inputs_digest: Mapped[str | None] = mapped_column(String(64))
    outputs_digest: Mapped[str | None] = mapped_column(String(64))
    salt: Mapped[str | None] = mapped_column(String(32))
    inputs: Mapped[str | None]
    outputs: Mapped[str | None]
    leaf: Mapped[str] = mapped_column(String(64))
    chain_id: Mapped[str] = mapped_column(Id)
    batch_number: Mapped[int]
    leaf_index: Mapped[int]


class Chain(Base):
    """The batches of one writer, one after the other; `cites` holds the other chains' last heads at its start.

    `cited_by` names the chain that cited this one's final head, after its writer was gone. The records of the batches
    up to `summed_up_to` are counted in `LOG_HOURS`.
    """

    __tablename__ = "chains"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    started_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    cites: Mapped[list[str]]
    cited_by: Mapped[str | None] = mapped_column(Id)
    summed_up_to: Mapped[int] = mapped_column(server_default=text("0"))


class Batch(Base):
    """One group commit: the Merkle root of its records' leaves, joined to the head before it."""

    __tablename__ = "batches"

    chain_id: Mapped[str] = mapped_column(Id, ForeignKey("chains.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    sealed_at: Mapped[datetime]
    size: Mapped[int]
    root: Mapped[str] = mapped_column(String(64))
    head: Mapped[str] = mapped_column(String(64))


class Head(Base):
    """A batch's head, numbered and signed, as it was published."""

    __tablename__ = "heads"

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    chain_id: Mapped[str] = mapped_column(Id, ForeignKey("chains.id"), index=True)
    batch_number: Mapped[int]
    signed_at: Mapped[datetime]
    signing_key_id: Mapped[str] = mapped_column(String(64))
    signature: Mapped[str]


#: The columns that count requests by latency; db/log_hours.py says which latencies.
LATENCIES = tuple(f"latency_{place}" for place in range(33))
#: The sums over the records of requests that began within one hour; they outlive the records. Where those have no key,
#: model or version, the hour has an empty text or the nil UUID: columns of a primary key are never NULL.
LOG_HOURS = Table(
    "log_hours",
    Base.metadata,
    Column("hour", Instant, primary_key=True),
    Column("tenant_id", Id, primary_key=True),
    Column("key_id", String(12), primary_key=True),
    Column("model_id", Id, primary_key=True),
    Column("version_id", Id, primary_key=True),
    Column("outcome", String(64), primary_key=True),
    Column("requests", BigInteger, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("charged_requests", BigInteger, nullable=False),
    Column("charged_rows", BigInteger, nullable=False),
    *(Column(name, BigInteger, nullable=False) for name in LATENCIES),
    Index("ix_log_hours_tenant_id_hour", "tenant_id", "hour"),
)


# --- events and changes -------------------------------------------------------------------------------------------


class Event(Base):
    """An administrator's change or an auditor's reading: the actor, the verb, the object; never a secret."""

    __tablename__ = "events"
    __table_args__ = (Index("ix_events_tenant_id_at", "tenant_id", "at"),)

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    at: Mapped[datetime] = mapped_column(index=True)
    actor: Mapped[str]
    verb: Mapped[str] = mapped_column(String(64))
    tenant_id: Mapped[str | None] = mapped_column(Id)
    object_id: Mapped[str]
    details: Mapped[dict[str, Any]]


class ChangeCounter(Base):
    """The only row, whose number grows with every change after which a process must forget something.

    Its row lock orders changes by their commits: a reader of N also sees every change up to N. (A sequence would hand
    out numbers in another order than that in which they become visible.)
    """

    __tablename__ = "change_counter"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    value: Mapped[int]


class Change(Base):
    """The object that the numbered change touched: a key, a tenant, a plan, models, a user, a token, signing keys."""

    __tablename__ = "changes"

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    kind: Mapped[str] = mapped_column(String(16))
    object_id: Mapped[str]
