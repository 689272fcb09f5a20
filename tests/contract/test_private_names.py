"""Names that uvicorn and FastAPI do not promise, and that the program stands on: an upgrade fails here first."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import fastapi
import uvicorn
from fastapi.dependencies.models import Dependant
from fastapi.middleware.asyncexitstack import AsyncExitStackMiddleware
from fastapi.routing import APIRoute
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

ROOT = Path(__file__).parents[2]

#: Methods that `api/http/protocol.py` calls or replaces, and attributes that it reads; and where they are made.
PROTOCOL_METHODS = {
    "_start_asgi_task", "_unset_keepalive_if_required", "connection_lost", "connection_made", "data_received",
    "eof_received", "on_body", "on_header", "on_headers_complete", "on_message_begin", "on_message_complete",
    "on_response_complete", "pause_writing", "resume_writing", "shutdown", "timeout_keep_alive_handler",
}  # fmt: skip
PROTOCOL_ATTRIBUTES = {"cycle", "flow", "headers", "loop", "parser", "pipeline", "transport", "url"}
CYCLE_ATTRIBUTES = {"disconnected", "keep_alive", "message_event", "response_complete", "response_started"}
DEPENDANT_FIELDS = {
    "background_tasks_param_name", "body_params", "call", "cookie_params", "dependencies", "header_params",
    "http_connection_param_name", "name", "path_params", "query_params", "request_param_name", "response_param_name",
    "security_scopes_param_name", "websocket_param_name",
}  # fmt: skip


def assigned(cls) -> set[str]:
    """Attributes that a class's own methods set."""
    return set(re.findall(r"self\.(\w+)(?:: [^=\n]+)? =", inspect.getsource(cls)))


def test_uvicorns_protocol_is_the_one_that_is_bounded():
    """Its methods, its attributes, those of a request under way, and the flow control that stops reading."""
    assert {name for name in PROTOCOL_METHODS if not hasattr(HttpToolsProtocol, name)} == set()
    assert PROTOCOL_ATTRIBUTES - assigned(HttpToolsProtocol) == set()
    assert CYCLE_ATTRIBUTES - assigned(RequestResponseCycle) == set()
    assert hasattr(FlowControl, "pause_reading")


def test_uvicorns_server_raises_no_signal_that_it_did_not_capture():
    """`api/http/server.py` clears the list of captured signals, so that the process ends with 0."""
    assert "_captured_signals" in inspect.getsource(uvicorn.Server)


def test_fastapis_dependants_have_the_fields_that_direct_routes_fill():
    """`api/http/direct_route.py` fills these, and refuses a route that asks for others."""
    fields = set(Dependant.__dataclass_fields__)
    assert DEPENDANT_FIELDS - fields == set()
    route = APIRoute("/", endpoint=lambda: None)
    assert isinstance(route.dependant, Dependant)
    assert route.path_regex.match("/")


def test_fastapis_application_is_built_as_ours_replaces_it():
    """`api/app.py` has a middleware stack of its own, and switches telemetry off by this option."""
    assert "middleware_stack" in assigned(fastapi.FastAPI) | assigned(fastapi.FastAPI.__mro__[1])
    assert hasattr(fastapi.FastAPI, "build_middleware_stack")
    assert "telemetry" in inspect.signature(fastapi.FastAPI.__init__).parameters
    assert "fastapi_inner_astack" in inspect.getsource(fastapi.routing)
    assert callable(AsyncExitStackMiddleware)


def test_a_dependency_may_end_before_the_answer_is_sent():
    """`scope="function"`: an admission ends with its route, and not once the client has read the answer."""
    assert "scope" in inspect.signature(fastapi.Depends).parameters
    assert "fastapi_function_astack" in inspect.getsource(fastapi.routing)


def test_both_have_an_upper_bound():
    """What is private may be gone in the next minor version."""
    text = (ROOT / "pyproject.toml").read_text()
    for library in ("fastapi", "uvicorn"):
        assert re.search(rf'"{library}>=[0-9.]+,<[0-9.]+"', text), library


def test_every_private_name_of_theirs_that_is_used_stands_here():
    """`self._name` that our classes on theirs do not define themselves."""
    known = PROTOCOL_METHODS | {"_captured_signals"}
    for files in (["api/http/protocol.py", "api/http/endings.py"], ["api/http/server.py"]):
        text = "".join((ROOT / file).read_text() for file in files)
        own = set(re.findall(r"def (_\w+)\(", text)) | set(
            re.findall(r"self\.(_\w+)(?:: [^=\n]+)?(?:, self\.\w+)* =", text)
        )
        used = set(re.findall(r"self\.(_\w+)", text)) | set(re.findall(r"super\(\)\.(_[a-z]\w*)", text))
        assert used - own - known - {"__init__"} == set(), files
