"""The dependency that OpenAPI shows is the one that runs."""

from typing import Annotated

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI, Header, Request, Response

from api.http.direct_route import DirectRoute
from api.http.security import BEARER_HEADER, KEY_HEADER, current_principal
from api.routes.predictions import router

pytestmark = pytest.mark.anyio


async def below(request: Request) -> str:
    return request.url.path


async def beside() -> str:
    return "beside"


async def above(value: Annotated[str, Depends(below)], other: Annotated[str, Depends(beside)]) -> str:
    return f"{value} {other}"


async def endpoint(name: str, value: Annotated[str, Depends(above)], query: str | None = None) -> Response:
    return Response(f"{name} {value} {query}")


async def wants_header(value: Annotated[str, Header()]) -> Response:
    return Response(value)


async def wants_query(value: str) -> Response:
    return Response(value)


async def wants_number(number: int) -> Response:
    return Response(str(number))


def not_async() -> Response:
    return Response()


def calls_of(dependant):
    yield dependant.call
    for each in dependant.dependencies:
        yield from calls_of(each)


def test_every_prediction_route_runs_the_security_that_openapi_shows():
    """Both schemes and `current_principal` stand in the tree that FastAPI documents and the route solves."""
    for route in router.routes:
        assert isinstance(route, DirectRoute)
        assert {KEY_HEADER, BEARER_HEADER, current_principal} <= set(calls_of(route.dependant))


async def test_a_direct_route_answers_as_an_ordinary_one():
    """The same endpoint through both gives the same."""
    answers = []
    for route_class in (None, DirectRoute):
        local = APIRouter(route_class=route_class) if route_class else APIRouter()
        local.get("/x/{name}")(endpoint)
        app = FastAPI()
        app.router.routes.extend(local.routes)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            answers.append([(await client.get(url)).text for url in ("/x/a", "/x/b?query=1")])
    assert answers[0] == answers[1] == ["a /x/a beside None", "b /x/b beside 1"]


@pytest.mark.parametrize("unsolvable", [wants_header, wants_query, wants_number, not_async])
def test_what_a_direct_route_cannot_fill_is_refused_at_start_up(unsolvable):
    """Nothing is left out silently."""
    local = APIRouter(route_class=DirectRoute)
    with pytest.raises(TypeError):
        local.get("/y/{number}" if unsolvable is wants_number else "/y")(unsolvable)
