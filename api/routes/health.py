"""Tells whether the process is alive and whether it can answer. It asks for no credentials, and is never limited."""

from __future__ import annotations

import time
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from api.http.security import parts_of
from program.memory import has_memory
from program.parts import Parts

router = APIRouter(tags=["operations"])

#: The log's check writes; no caller can make it write more often than this.
PROBE_SECONDS = 1.0


@router.get("/health", summary="Is it alive")
async def health() -> dict[str, str]:
    """Always `{"status": "ok"}` while the process answers."""
    return {"status": "ok"}


@router.get("/health/ready", summary="Can it answer")
async def ready(request: Request) -> JSONResponse:
    """Shows each part that a prediction needs; answers 503 while one of them is missing."""
    state, parts = request.app.state, parts_of(request)
    asked_at, checks = getattr(state, "readiness", (0.0, {}))
    if time.monotonic() - asked_at >= PROBE_SECONDS:
        checks = await _checks(parts)
        state.readiness = (time.monotonic(), checks)
    if parts.worker is not None:
        # The supervisor replaces those that are missing; meanwhile the others serve.
        checks = checks | {"workers": "ok" if parts.worker.crew.ready >= parts.worker.crew.wanted else "degraded"}
    if state.connections is not None:
        checks = checks | {"connections": state.connections.state()}
    is_ready = "unavailable" not in checks.values()
    document: dict[str, Any] = {"status": "ready" if is_ready else "not ready", "checks": checks}
    return JSONResponse(document, 200 if is_ready else 503)


async def _checks(parts: Parts) -> dict[str, Any]:
    checks = {
        "log": await parts.log.probe(),
        "database": parts.directory.is_fresh,
        "limits": await parts.quotas.check(),
        "memory": has_memory(),
    }
    said = {name: "ok" if is_ok else "unavailable" for name, is_ok in checks.items()}
    return said | {"models": parts.registry.state(parts.settings.default_model)}
