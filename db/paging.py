"""Pages by cursor: each page starts after a position, so that no row is missed or repeated while others come and go."""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import Select
from sqlalchemy.orm import Session


class Cut(NamedTuple):
    """The page that is asked for: `limit` rows after the position `after`, or the first rows."""

    limit: int
    after: str | None = None


#: Every row, for the command line.
WHOLE = Cut(1_000_000_000)


class Page(NamedTuple):
    """Rows, and the position after which the next page starts; None after the last row."""

    rows: list[Any]
    next: str | None


def read_page(
    session: Session, query: Select[*tuple[Any, ...]], position: Any, cut: Cut, *, newest_first: bool = False
) -> Page:
    """Returns the page of `query` in the order of `position`, a unique column. A row of one entity is that entity."""
    if cut.after is not None:
        query = query.where(position < cut.after if newest_first else position > cut.after)
    ordered = query.add_columns(position.label("position")).order_by(position.desc() if newest_first else position)
    found = session.execute(ordered.limit(cut.limit + 1)).all()
    kept = found[: cut.limit]
    rows = [row[0] if len(row) == 2 else tuple(row[:-1]) for row in kept]
    return Page(rows, kept[-1].position if len(found) > cut.limit else None)
