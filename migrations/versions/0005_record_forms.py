"""records say in which form they were sealed and what was charged; hours of the log are summed up."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from db.tables import Instant

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for column in (
        sa.Column("charged_requests", sa.BigInteger(), nullable=True),
        sa.Column("charged_rows", sa.BigInteger(), nullable=True),
        sa.Column("trace_id", sa.String(length=32), nullable=True),
        sa.Column("job_id", sa.Uuid(as_uuid=False), nullable=True),
        # Records that are there, or that an older program still writes, are of form 1.
        sa.Column("form", sa.BigInteger(), nullable=False, server_default=sa.text("1")),
    ):
        op.add_column("prediction_records", column)
    op.add_column("chains", sa.Column("summed_up_to", sa.BigInteger(), nullable=False, server_default=sa.text("0")))
    op.create_table(
        "log_hours",
        sa.Column("hour", Instant(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("key_id", sa.String(length=12), nullable=False),
        sa.Column("model_id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("version_id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("outcome", sa.String(length=64), nullable=False),
        sa.Column("requests", sa.BigInteger(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("charged_requests", sa.BigInteger(), nullable=False),
        sa.Column("charged_rows", sa.BigInteger(), nullable=False),
        *(sa.Column(f"latency_{place}", sa.BigInteger(), nullable=False) for place in range(33)),
        sa.PrimaryKeyConstraint(
            "hour", "tenant_id", "key_id", "model_id", "version_id", "outcome", name=op.f("pk_log_hours")
        ),
    )
    op.create_index("ix_log_hours_tenant_id_hour", "log_hours", ["tenant_id", "hour"], unique=False)


def downgrade() -> None:
    connection = op.get_bind()
    if connection.scalar(sa.text("SELECT 1 FROM prediction_records WHERE form > 1 LIMIT 1")):
        # Without their form these records would no longer verify.
        raise RuntimeError("the log holds records that the older schema cannot hold")
    op.drop_table("log_hours")
    op.drop_column("chains", "summed_up_to")
    for column in ("form", "job_id", "trace_id", "charged_rows", "charged_requests"):
        op.drop_column("prediction_records", column)
