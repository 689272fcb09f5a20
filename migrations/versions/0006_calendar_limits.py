"""limits of calendar periods and for one model; limits keep the text that was written; tenants have a time zone."""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

from db.tables import Instant

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

UNITS = {"month": 2_592_000, "day": 86_400, "hour": 3_600, "minute": 60, "second": 1}
POLICIES = sa.table(
    "policies",
    sa.column("id", sa.Uuid(as_uuid=False)),
    sa.column("name", sa.String(100)),
    sa.column("amount", sa.BigInteger()),
    sa.column("window_seconds", sa.BigInteger()),
    sa.column("calendar", sa.String(16)),
    sa.column("model", sa.String(63)),
    sa.column("text", sa.String(100)),
    sa.column("since", Instant()),
)


def upgrade() -> None:
    # No table of SQLite's is made again that others refer to: dropping the old one would take their rows along.
    op.add_column(
        "tenants", sa.Column("time_zone", sa.String(length=64), nullable=False, server_default=sa.text("'UTC'"))
    )
    op.add_column("tenants", sa.Column("plan_since", Instant(), nullable=True))
    op.add_column("policies", sa.Column("calendar", sa.String(length=16), nullable=True))
    op.add_column("policies", sa.Column("model", sa.String(length=63), nullable=True))
    op.add_column("policies", sa.Column("text", sa.String(length=100), nullable=True))
    op.add_column("policies", sa.Column("since", Instant(), nullable=True))
    _write_texts()
    with op.batch_alter_table("policies") as policies:
        policies.alter_column("name", existing_type=sa.String(length=63), type_=sa.String(length=100))
        policies.alter_column("text", existing_type=sa.String(length=100), nullable=False)
        policies.alter_column("since", existing_type=Instant(), nullable=False)
        policies.alter_column("window_seconds", existing_type=sa.BigInteger(), nullable=True)
        policies.create_check_constraint(op.f("ck_policies_calendar"), "calendar IN ('day', 'month')")
        policies.create_check_constraint(
            op.f("ck_policies_one_window"), "(calendar IS NULL) <> (window_seconds IS NULL)"
        )


def _write_texts() -> None:
    connection = op.get_bind()
    now = datetime.now(UTC)
    rows = connection.execute(sa.select(POLICIES.c.id, POLICIES.c.amount, POLICIES.c.window_seconds)).all()
    if rows:
        connection.execute(
            sa.update(POLICIES)
            .where(POLICIES.c.id == sa.bindparam("of"))
            .values(text=sa.bindparam("words"), since=now),
            [{"of": row.id, "words": f"{row.amount}/{_window(row.window_seconds)}"} for row in rows],
        )


def _window(seconds: int) -> str:
    """Returns the words for a window: `minute`, `30 seconds`."""
    unit, length = next((name, length) for name, length in UNITS.items() if seconds % length == 0)
    return unit if seconds == length else f"{seconds // length} {unit}s"


def downgrade() -> None:
    newer = sa.select(POLICIES.c.name).where(POLICIES.c.calendar.is_not(None) | POLICIES.c.model.is_not(None))
    if names := op.get_bind().scalars(newer.distinct().order_by(POLICIES.c.name)).all():
        # Without them callers would be limited by less than was promised.
        raise RuntimeError(f"the older schema cannot hold these limits, remove them first: {', '.join(names)}")
    with op.batch_alter_table("policies") as policies:
        policies.drop_constraint(op.f("ck_policies_one_window"), type_="check")
        policies.drop_constraint(op.f("ck_policies_calendar"), type_="check")
        policies.alter_column("window_seconds", existing_type=sa.BigInteger(), nullable=False)
        policies.alter_column("name", existing_type=sa.String(length=100), type_=sa.String(length=63))
        for column in ("since", "text", "model", "calendar"):
            policies.drop_column(column)
    op.drop_column("tenants", "plan_since")
    op.drop_column("tenants", "time_zone")
