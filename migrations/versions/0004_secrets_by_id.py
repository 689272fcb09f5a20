"""a key's secret has an id of its own, by which tokens name it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from values.ids import uuid7

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

SECRETS = sa.table("key_secrets", sa.column("id", sa.Uuid(as_uuid=False)), sa.column("digest", sa.String(64)))


def upgrade() -> None:
    op.add_column("key_secrets", sa.Column("id", sa.Uuid(as_uuid=False), nullable=True))
    connection = op.get_bind()
    digests = connection.scalars(sa.select(SECRETS.c.digest)).all()
    if digests:
        connection.execute(
            sa.update(SECRETS).where(SECRETS.c.digest == sa.bindparam("of")).values(id=sa.bindparam("new")),
            [{"of": digest, "new": uuid7()} for digest in digests],
        )
    with op.batch_alter_table("key_secrets") as secrets:
        secrets.alter_column("id", existing_type=sa.Uuid(as_uuid=False), nullable=False)
        secrets.create_unique_constraint(op.f("uq_key_secrets_id"), ["id"])


def downgrade() -> None:
    with op.batch_alter_table("key_secrets") as secrets:
        secrets.drop_constraint(op.f("uq_key_secrets_id"), type_="unique")
        secrets.drop_column("id")
