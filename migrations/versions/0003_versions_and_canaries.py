"""versions vouched for as a whole; canaries, and what an alias named before."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # No digest covers the whole of an older version: it is refused until it is registered again.
    op.add_column("versions", sa.Column("mac", sa.String(length=64), nullable=False, server_default=sa.text("''")))
    op.drop_column("versions", "artifact_mac")
    op.drop_column("versions", "compiled_mac")
    with op.batch_alter_table("aliases") as aliases:
        aliases.add_column(sa.Column("canary_version_id", sa.Uuid(as_uuid=False), nullable=True))
        aliases.add_column(sa.Column("share", sa.Double(), nullable=False, server_default=sa.text("0")))
        aliases.add_column(sa.Column("history", sa.JSON(), nullable=False, server_default=sa.text("'[]'")))
        aliases.add_column(sa.Column("revision", sa.BigInteger(), nullable=False, server_default=sa.text("1")))
        aliases.create_foreign_key(
            op.f("fk_aliases_canary_version_id_versions"), "versions", ["canary_version_id"], ["id"]
        )


def downgrade() -> None:
    with op.batch_alter_table("aliases") as aliases:
        aliases.drop_constraint(op.f("fk_aliases_canary_version_id_versions"), type_="foreignkey")
        for column in ("revision", "history", "share", "canary_version_id"):
            aliases.drop_column(column)
    op.add_column(
        "versions", sa.Column("artifact_mac", sa.String(length=64), nullable=False, server_default=sa.text("''"))
    )
    op.add_column("versions", sa.Column("compiled_mac", sa.String(length=64), nullable=True))
    op.drop_column("versions", "mac")
