"""Lists by page: `limit` and `after` in the query, `items` and `next` in the answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import Depends, Query, Request

from api.http.direct_route import DuplicateParameter
from api.http.refusals import InvalidParameter
from db.paging import Cut, Page
from values import base64url

MAX_CHARACTERS = 200
MAX_POSITION_BYTES = 300


def check_query(request: Request) -> None:
    """Refuses a misspelt filter, which would find more than the caller means, and a filter that is given twice."""
    given = request.query_params.multi_items()
    if len(given) > len(request.query_params):
        raise DuplicateParameter
    known = _names(request.scope["route"].dependant)
    for name, value in given:
        if name not in known:
            raise InvalidParameter("query", f"may only be {', '.join(sorted(known))}")
        if len(value) > MAX_CHARACTERS or "\0" in value:
            raise InvalidParameter(name, f"has at most {MAX_CHARACTERS} characters and no NUL")


async def _cut(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    after: Annotated[str | None, Query(description="The `next` of the page before.")] = None,
) -> Cut:
    check_query(request)
    return Cut(limit, None if after is None else position_of(after))


#: The page that the caller asks for.
Wanted = Annotated[Cut, Depends(_cut)]


def listed(page: Page, shown: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Returns the answer of a list: the page's rows as they are shown, and the cursor of the next page."""
    return {"items": shown, "next": page.next and cursor_of(page.next)}


def cursor_of(position: str) -> str:
    """Returns the cursor that stands for a position in a list."""
    return base64url.encoded(position.encode())


def position_of(cursor: str) -> str:
    """Returns the position that a cursor stands for. Raises `InvalidParameter`."""
    try:
        position = base64url.decoded(cursor).decode()
    except ValueError:
        raise InvalidParameter("after", "must be a `next` of an earlier page") from None
    if "\0" in position or len(position) > MAX_POSITION_BYTES:
        raise InvalidParameter("after", "must be a `next` of an earlier page")
    return position


def _names(dependant: Any) -> set[str]:
    own = {field.alias for field in dependant.query_params}
    return own.union(*(_names(each) for each in dependant.dependencies))
