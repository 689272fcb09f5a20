"""Pages for people: `/docs`, `/redoc` and an explanation of each problem. They load our own files only."""

from __future__ import annotations

from html import escape
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles

from api.http.security import parts_of
from serving.problems import PROBLEMS

STATIC = StaticFiles(directory=Path(__file__).parent / "static")
# Both pages write styles into the document; ReDoc searches in a worker made from a blob.
_DOCS_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:;"
    " font-src 'self' data:; connect-src 'self'; worker-src blob:; frame-ancestors 'none'; base-uri 'none';"
    " form-action 'none'; object-src 'none'"
)
_PAGE_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)

router = APIRouter(include_in_schema=False)


@router.get("/docs")
async def docs(request: Request) -> HTMLResponse:
    """Swagger UI."""
    return _viewer(request, "swagger-ui-bundle.js", "docs.js", "swagger-ui.css")


@router.get("/redoc")
async def redoc(request: Request) -> HTMLResponse:
    """ReDoc."""
    return _viewer(request, "redoc.standalone.js", "redoc.js")


@router.get("/problems/{name}")
async def describe_problem(request: Request, name: str) -> HTMLResponse:
    """A page that explains a problem to a person."""
    problem = PROBLEMS.get(name)
    if problem is None:
        raise HTTPException(404)
    body = f"<h1>{escape(problem.title)}</h1><p>{escape(problem.explanation)}</p>"
    kind = f"{parts_of(request).settings.root_path}/problems/{problem.name}"
    note = f"<p>HTTP status {problem.status}, <code>{escape(kind)}</code></p>"
    style = "<style>body{font:16px/1.5 system-ui;max-width:40em;margin:4em auto;padding:0 1em}</style>"
    return _page(problem.title, style, body + note, _PAGE_POLICY)


def _viewer(request: Request, library: str, script: str, style: str | None = None) -> HTMLResponse:
    """A page with relative references: a proxy may put a prefix before its path, and the path may end in a slash."""
    static = "../static" if request.scope.get("raw_path", b"").endswith(b"/") else "static"
    head = f'<link rel="stylesheet" href="{static}/{style}">' if style else ""
    scripts = [f'<script src="{static}/{name}"></script>' for name in ("safe_document.js", library, script)]
    return _page("Adyton", head, f'<div id="ui"></div>{"".join(scripts)}', _DOCS_POLICY)


def _page(title: str, head: str, body: str, policy: str) -> HTMLResponse:
    document = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><link rel="icon" href="data:,">{head}</head>'
        f"<body>{body}</body></html>"
    )
    return HTMLResponse(document, headers={"Content-Security-Policy": policy})
