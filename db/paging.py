"""Pages by cursor: each page starts after a place, so that no row is missed or shown twice while others come and go."""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import Select
from sqlalchemy.orm import Session


class Cut(NamedTuple):
    """The page that is asked for: `limit` rows after the place `after`, or the first rows."""

    limit: int
    after: str | None = None


#: Everything, for the command line.
WHOLE = Cut(1_000_000_000)


class Page(NamedTuple):
    """Rows, and the place after which the next page starts; None after the last row."""

    rows: list[Any]
    next: str | None


def read_page(
    session: Session, query: Select[*tuple[Any, ...]], place: Any, cut: Cut, *, newest_first: bool = False
) -> Page:
    """Returns the page of `query` in the order of `place`, a unique column. A row of one entity is that entity."""
    if cut.after is not None:
        query = query.where(place < cut.after if newest_first else place > cut.after)
    ordered = query.add_columns(place.label("place")).order_by(place.desc() if newest_first else place)
    found = session.execute(ordered.limit(cut.limit + 1)).all()
    kept = found[: cut.limit]
    rows = [row[0] if len(row) == 2 else tuple(row[:-1]) for row in kept]
    return Page(rows, kept[-1].place if len(found) > cut.limit else None)
