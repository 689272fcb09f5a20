"""first schema."""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

from db.tables import Instant

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "chains",
        sa.Column("id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("started_at", Instant(), nullable=False),
        sa.Column("seen_at", Instant(), nullable=False),
        sa.Column("cites", sa.JSON(), nullable=False),
        sa.Column("cited_by", sa.Uuid(as_uuid=False), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_chains")),
    )
    op.create_table(
        "change_counter",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_change_counter_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_change_counter")),
    )
    op.create_table(
        "changes",
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("object_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_changes")),
    )
    op.create_table(
        "events",
        sa.Column("id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("verb", sa.String(length=64), nullable=False),
        sa.Column("tenant_id", sa.Uuid(as_uuid=False), nullable=True),
        sa.Column("object_id", sa.Text(), nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
    )
    op.create_index("ix_events_at", "events", ["at"], unique=False)
    op.create_index("ix_events_tenant_id_at", "events", ["tenant_id", "at"], unique=False)

    op.create_table(
        "models",
        sa.Column("id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("is_public", sa.Boolean(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_models")),
        sa.UniqueConstraint("name", name=op.f("uq_models_name")),
    )
    op.create_table(
        "plans",
        sa.Column("id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("concurrency", sa.BigInteger(), nullable=True),
        sa.Column("created_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_plans")),
        sa.UniqueConstraint("name", name=op.f("uq_plans_name")),
    )
    op.create_table(
        "prediction_records",
        sa.Column("at", Instant(), nullable=False),
        sa.Column("request_id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("client_request_id", sa.Text(), nullable=True),
        sa.Column("tenant_id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("key_id", sa.String(length=12), nullable=True),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("model_id", sa.Uuid(as_uuid=False), nullable=True),
        sa.Column("version_id", sa.Uuid(as_uuid=False), nullable=True),
        sa.Column("artifact_sha256", sa.String(length=64), nullable=True),
        sa.Column("route", sa.Text(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("outcome", sa.String(length=64), nullable=False),
        sa.Column("status", sa.BigInteger(), nullable=False),
        sa.Column("latency_us", sa.BigInteger(), nullable=False),
        sa.Column("inference_us", sa.BigInteger(), nullable=True),
        sa.Column("address", sa.String(length=64), nullable=True),
        sa.Column("fingerprint", sa.String(length=64), nullable=True),
        sa.Column("client_digest", sa.String(length=64), nullable=False),
        sa.Column("inputs_digest", sa.String(length=64), nullable=True),
        sa.Column("outputs_digest", sa.String(length=64), nullable=True),
        sa.Column("salt", sa.String(length=32), nullable=True),
        sa.Column("inputs", sa.Text(), nullable=True),
        sa.Column("outputs", sa.Text(), nullable=True),
        sa.Column("leaf", sa.String(length=64), nullable=False),
        sa.Column("chain_id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("batch_number", sa.BigInteger(), nullable=False),
        sa.Column("leaf_index", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("at", "request_id", name=op.f("pk_prediction_records")),
        postgresql_partition_by="RANGE (at)",
    )
    op.create_index(
        "ix_prediction_records_chain_id_batch_number", "prediction_records", ["chain_id", "batch_number"], unique=False
    )
    op.create_index(
        "ix_prediction_records_tenant_id_at_request_id",
        "prediction_records",
        ["tenant_id", "at", "request_id"],
        unique=False,
    )
    op.create_index(
        "ix_prediction_records_withdrawn",
        "prediction_records",
        ["request_id"],
        unique=False,
        sqlite_where=sa.text("outcome = 'withdrawn'"),
        postgresql_where=sa.text("outcome = 'withdrawn'"),
    )

    op.create_table(
        "batches",
        sa.Column("chain_id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("sealed_at", Instant(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("root", sa.String(length=64), nullable=False),
        sa.Column("head", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["chain_id"], ["chains.id"], name=op.f("fk_batches_chain_id_chains")),
        sa.PrimaryKeyConstraint("chain_id", "number", name=op.f("pk_batches")),
    )
    op.create_table(
        "heads",
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("chain_id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("batch_number", sa.BigInteger(), nullable=False),
        sa.Column("signed_at", Instant(), nullable=False),
        sa.Column("signing_key_id", sa.String(length=64), nullable=False),
        sa.Column("signature", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["chain_id"], ["chains.id"], name=op.f("fk_heads_chain_id_chains")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_heads")),
    )
    op.create_index("ix_heads_chain_id", "heads", ["chain_id"], unique=False)

    op.create_table(
        "tenants",
        sa.Column("id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("plan_id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.CheckConstraint("status IN ('active', 'suspended', 'erased')", name=op.f("ck_tenants_status")),
        sa.ForeignKeyConstraint(["plan_id"], ["plans.id"], name=op.f("fk_tenants_plan_id_plans")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tenants")),
        sa.UniqueConstraint("name", name=op.f("uq_tenants_name")),
    )
    op.create_index("ix_tenants_plan_id", "tenants", ["plan_id"], unique=False)

    op.create_table(
        "versions",
        sa.Column("id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("model_id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("format", sa.String(length=16), nullable=False),
        sa.Column("artifact_sha256", sa.String(length=64), nullable=False),
        sa.Column("artifact_mac", sa.String(length=64), nullable=False),
        sa.Column("compiled_sha256", sa.String(length=64), nullable=True),
        sa.Column("compiled_mac", sa.String(length=64), nullable=True),
        sa.Column("compilation", sa.JSON(), nullable=False),
        sa.Column("row_schema", sa.JSON(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.CheckConstraint("status IN ('active', 'retired')", name=op.f("ck_versions_status")),
        sa.ForeignKeyConstraint(["model_id"], ["models.id"], name=op.f("fk_versions_model_id_models")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_versions")),
        sa.UniqueConstraint("model_id", "name", name=op.f("uq_versions_model_id_name")),
    )
    op.create_table(
        "aliases",
        sa.Column("model_id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("version_id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("changed_at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(["model_id"], ["models.id"], name=op.f("fk_aliases_model_id_models")),
        sa.ForeignKeyConstraint(["version_id"], ["versions.id"], name=op.f("fk_aliases_version_id_versions")),
        sa.PrimaryKeyConstraint("model_id", "name", name=op.f("pk_aliases")),
    )
    op.create_index("ix_aliases_version_id", "aliases", ["version_id"], unique=False)

    op.create_table(
        "grants",
        sa.Column("model_id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("tenant_id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(["model_id"], ["models.id"], name=op.f("fk_grants_model_id_models")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_grants_tenant_id_tenants")),
        sa.PrimaryKeyConstraint("model_id", "tenant_id", name=op.f("pk_grants")),
    )
    op.create_index("ix_grants_tenant_id", "grants", ["tenant_id"], unique=False)

    op.create_table(
        "keys",
        sa.Column("id", sa.String(length=12), nullable=False),
        sa.Column("tenant_id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("label", sa.String(length=200), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("models", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("cidrs", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("not_before", Instant(), nullable=True),
        sa.Column("expires_at", Instant(), nullable=True),
        sa.Column("revoked_at", Instant(), nullable=True),
        sa.Column("created_at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_keys_tenant_id_tenants")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_keys")),
    )
    op.create_index("ix_keys_tenant_id", "keys", ["tenant_id"], unique=False)

    op.create_table(
        "wrapped_secrets",
        sa.Column("id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("purpose", sa.String(length=32), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(as_uuid=False), nullable=True),
        sa.Column("wrapped", sa.Text(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("retired_at", Instant(), nullable=True),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_wrapped_secrets_tenant_id_tenants")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_wrapped_secrets")),
        sa.UniqueConstraint("tenant_id", "purpose", "number", name=op.f("uq_wrapped_secrets_tenant_id_purpose_number")),
    )
    op.create_index(
        "uq_wrapped_secrets_global",
        "wrapped_secrets",
        ["purpose", "number"],
        unique=True,
        sqlite_where=sa.text("tenant_id IS NULL"),
        postgresql_where=sa.text("tenant_id IS NULL"),
    )

    op.create_table(
        "key_secrets",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("key_id", sa.String(length=12), nullable=False),
        sa.Column("pepper_id", sa.BigInteger(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("expires_at", Instant(), nullable=True),
        sa.ForeignKeyConstraint(["key_id"], ["keys.id"], name=op.f("fk_key_secrets_key_id_keys"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_key_secrets")),
    )
    op.create_index("ix_key_secrets_key_id", "key_secrets", ["key_id"], unique=False)

    op.create_table(
        "policies",
        sa.Column("id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("plan_id", sa.Uuid(as_uuid=False), nullable=True),
        sa.Column("tenant_id", sa.Uuid(as_uuid=False), nullable=True),
        sa.Column("key_id", sa.String(length=12), nullable=True),
        sa.Column("unit", sa.String(length=16), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("window_seconds", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("unit IN ('requests', 'rows')", name=op.f("ck_policies_unit")),
        sa.CheckConstraint(
            "(CASE WHEN plan_id IS NULL THEN 0 ELSE 1 END) + (CASE WHEN tenant_id IS NULL THEN 0 ELSE 1 END) + (CASE WHEN key_id IS NULL THEN 0 ELSE 1 END) = 1",
            name=op.f("ck_policies_one_owner"),
        ),
        sa.CheckConstraint("amount > 0 AND window_seconds > 0", name=op.f("ck_policies_positive")),
        sa.ForeignKeyConstraint(["key_id"], ["keys.id"], name=op.f("fk_policies_key_id_keys"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["plan_id"], ["plans.id"], name=op.f("fk_policies_plan_id_plans"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("fk_policies_tenant_id_tenants"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_policies")),
        sa.UniqueConstraint("key_id", "name", name=op.f("uq_policies_key_id_name")),
        sa.UniqueConstraint("plan_id", "name", name=op.f("uq_policies_plan_id_name")),
        sa.UniqueConstraint("tenant_id", "name", name=op.f("uq_policies_tenant_id_name")),
    )

    if op.get_bind().dialect.name == "postgresql":
        # No prediction fails because a month's partition is missing; `adyton db upgrade` makes those ahead of time.
        op.execute("CREATE TABLE prediction_records_default PARTITION OF prediction_records DEFAULT")
    op.execute("INSERT INTO change_counter (id, value) VALUES (1, 0)")
    _insert_default_plan()


def _insert_default_plan() -> None:
    """Adds the plan `default`, which a tenant has unless it is given another."""
    plan_id = "00000000-0000-7000-8000-000000000001"
    plans = sa.table(
        "plans",
        sa.column("id", sa.Uuid(as_uuid=False)),
        sa.column("name"),
        sa.column("concurrency"),
        sa.column("created_at", Instant()),
    )
    op.bulk_insert(plans, [{"id": plan_id, "name": "default", "concurrency": 64, "created_at": datetime.now(UTC)}])
    policies = sa.table(
        "policies",
        sa.column("id", sa.Uuid(as_uuid=False)),
        sa.column("name"),
        sa.column("plan_id", sa.Uuid(as_uuid=False)),
        sa.column("unit"),
        sa.column("amount"),
        sa.column("window_seconds"),
    )
    for number, (unit, amount) in enumerate({"requests": 600, "rows": 60_000}.items(), start=2):
        row = {
            "id": f"00000000-0000-7000-8000-{number:012}",
            "name": f"plan-{unit}-60",
            "plan_id": plan_id,
            "unit": unit,
            "amount": amount,
            "window_seconds": 60,
        }
        op.bulk_insert(policies, [row])


def downgrade() -> None:
    op.drop_table("policies")
    op.drop_table("key_secrets")
    op.drop_table("wrapped_secrets")
    op.drop_table("keys")
    op.drop_table("grants")
    op.drop_table("aliases")
    op.drop_table("versions")
    op.drop_table("tenants")
    op.drop_table("heads")
    op.drop_table("batches")
    op.drop_table("prediction_records")
    op.drop_table("plans")
    op.drop_table("models")
    op.drop_table("events")
    op.drop_table("changes")
    op.drop_table("change_counter")
    op.drop_table("chains")
