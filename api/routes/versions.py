"""Versions of models and which of them answers, for admins of all tenants."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import Field
from sqlalchemy.orm import Session

from admin.facts import InvalidValue, NotFound
from admin.listings import trial_by
from admin.promotion import promote_version, retire_version, rollback_alias
from admin.registration import HARMLESS, Submission, register_version
from admin.shown import shown_alias, shown_model, shown_version
from api.dependencies import person
from api.http.body import look_again
from api.http.conditional import change_at, tagged
from api.http.json_body import Form, json_body, takes
from api.http.multipart_body import File, read_multipart, takes_multipart
from api.http.security import parts_of
from auth.principal import Person, Role
from db.catalogue import CatalogueEntry, read_catalogue
from db.reach import EVERY_TENANT
from inference.listings import PRODUCTION
from program.parts import Parts
from serving.facts import DeadlineExceeded
from values.strict_json import parse_json

router = APIRouter(tags=["admin: models"])

Admin = Annotated[Person, person(Role.ADMIN)]
Name = Annotated[str, Field(max_length=63)]
Revision = Annotated[int | None, Field(description="Refused with 409 unless it is at this revision.")]

FILES = {
    "file": "The model: a skops or an ONNX file, named so.",
    "sample": "Training-like rows as CSV or Parquet: they give the schema, and test the compiled model.",
}
FIELDS = {
    "version": "Its name; the next number if not given.",
    "alias": "What shall name it; the first version of a model becomes `production`.",
    "schema": "A JSON Schema that sets bounds, `pii` and descriptions.",
    "target": "The sample's column that is no feature.",
    "engine": "`auto`, or `sklearn` to serve it as trained.",
    "public": "`true` to let all tenants use the model.",
    "description": "What the model is for.",
}


class Promotion(Form):
    version: Name
    share: float = Field(100.0, description="Percent of the keys that are answered by it; under 100 it is a canary.")
    revision: Revision = None


class Rollback(Form):
    alias: Name = PRODUCTION
    revision: Revision = None


@router.get("/admin/models/{name}", summary="Show a model")
def show_model(request: Request, name: str, caller: Admin) -> dict[str, Any]:
    """A model with its versions, their schemas and compilation tests, and what its aliases name."""
    with parts_of(request).database.reading(EVERY_TENANT) as session:
        entry = _entry(session, name)
        details = [shown_version(version) for version in entry.versions.values()]
        return shown_model(entry) | {"details": details}


@router.post(
    "/admin/models/{name}/versions", summary="Register a version", status_code=201,
    openapi_extra=takes_multipart(FILES, FIELDS, ["file"]),
)  # fmt: skip
async def register(request: Request, name: str, caller: Admin) -> dict[str, Any]:
    """Examines the file in a process of its own, and lists what can be served; a model that is new is made with it."""
    parts = parts_of(request)
    started, seconds = time.monotonic(), parts.settings.request_timeout_seconds
    files, fields = await read_multipart(request, files=FILES, fields=FIELDS, max_bytes=parts.settings.max_model_bytes)
    submission = _submission(files, fields)
    try:
        async with asyncio.timeout(seconds - (time.monotonic() - started)):
            await parts.registrations.acquire()
    except TimeoutError:
        raise DeadlineExceeded(is_callers=False) from None
    try:
        await look_again(request)
        left = max(0.1, seconds - (time.monotonic() - started))
        return await run_in_threadpool(_register, parts, caller, name, submission, left)
    finally:
        parts.registrations.release()


@router.put(
    "/admin/models/{name}/aliases/{alias}", summary="Promote a version, or try it as a canary",
    openapi_extra=takes(Promotion),
)  # fmt: skip
def promote(
    request: Request, response: Response, name: str, alias: str, caller: Admin,
    body: Annotated[Promotion, json_body(Promotion)],
) -> dict[str, Any]:  # fmt: skip
    """Has the alias name the version once it has been loaded; every process follows within a second."""
    parts = parts_of(request)
    change_at(
        request,
        body.revision,
        lambda revision: promote_version(
            parts.database, actor=caller.subject, name=name, version=body.version, trial=trial_by(parts.loader),
            alias=alias, share=body.share, revision=revision,
        ),
    )  # fmt: skip
    return tagged(response, _shown_alias(parts, name, alias))


@router.post("/admin/models/{name}/rollback", summary="Take the last promotion back", openapi_extra=takes(Rollback))
def roll_back(
    request: Request, response: Response, name: str, caller: Admin, body: Annotated[Rollback, json_body(Rollback)]
) -> dict[str, Any]:
    """Ends the alias's canary if there is one, or else names the version from before."""
    parts = parts_of(request)
    change_at(
        request,
        body.revision,
        lambda revision: rollback_alias(
            parts.database, actor=caller.subject, name=name, alias=body.alias, revision=revision
        ),
    )
    return tagged(response, _shown_alias(parts, name, body.alias))


@router.delete("/admin/models/{name}/versions/{version}", summary="Retire a version")
def retire(request: Request, name: str, version: str, caller: Admin) -> dict[str, Any]:
    """Takes a version that no alias names out of use for good; its records stay."""
    retire_version(parts_of(request).database, actor=caller.subject, name=name, version=version)
    return {"model": name, "retired": version}


def _register(parts: Parts, caller: Person, name: str, submission: Submission, limit_seconds: float) -> dict[str, Any]:
    version = register_version(
        parts.database, parts.store, parts.keyring, actor=caller.subject, name=name, submission=submission,
        trusted=tuple(parts.settings.skops_trusted), limit_seconds=limit_seconds, formats=HARMLESS,
    )  # fmt: skip
    return {"model": name, **shown_version(version)}


def _submission(files: dict[str, File], fields: dict[str, str]) -> Submission:
    """Raises `InvalidValue` or `BrokenJson`."""
    if "file" not in files:
        raise InvalidValue("the form needs a file")
    if fields.get("engine", "auto") not in ("auto", "sklearn") or fields.get("public", "false") not in (
        "true",
        "false",
    ):
        raise InvalidValue("engine is auto or sklearn, and public is true or false")
    sample = files.get("sample")
    schema = parse_json(fields["schema"].encode("utf-8", "surrogatepass")) if "schema" in fields else None
    return Submission(
        file_name=files["file"].name, content=files["file"].content, sample_name=sample.name if sample else None,
        sample=sample.content if sample else None, target=fields.get("target"), schema=schema,
        version=fields.get("version"), alias=fields.get("alias"), is_compiled=fields.get("engine") != "sklearn",
        is_public=fields.get("public") == "true", description=fields.get("description"),
    )  # fmt: skip


def _shown_alias(parts: Parts, name: str, alias: str) -> dict[str, Any]:
    with parts.database.reading(EVERY_TENANT) as session:
        entry = _entry(session, name)
        return {"model": name, **shown_alias(entry.aliases[alias], entry.version_names())}


def _entry(session: Session, name: str) -> CatalogueEntry:
    entry = read_catalogue(session).get(name)
    if entry is None:
        raise NotFound(f"there is no model {name}")
    return entry
