"""The least that a FastAPI route can cost: it reads a JSON body and sends it back."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request

app = FastAPI()


@app.post("/echo")
async def echo(request: Request) -> dict[str, Any]:
    row: dict[str, Any] = await request.json()
    return row
