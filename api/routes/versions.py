"""Versions of models and the aliases that name them, for admins of all tenants."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import Field

from admin.facts import InvalidValue
from admin.models.access import describe_model
from admin.models.listings import trial_by
from admin.models.promotion import promote_version, retire_version, rollback_alias
from admin.models.registration import HARMLESS, Submission, register_version
from api.dependencies import known_person
from api.http.body import look_again
from api.http.conditional import Revision, at_revision, tagged
from api.http.json_body import Form, json_body, takes
from api.http.multipart_body import File, read_multipart, takes_multipart
from api.http.security import parts_of
from auth.principal import Person, Role
from inference.listings import PRODUCTION
from program.parts import Parts
from serving.facts import DeadlineExceeded
from values.strict_json import parse_json

router = APIRouter(tags=["admin: models"])

Admin = Annotated[Person, known_person(Role.ADMIN)]
Name = Annotated[str, Field(max_length=63)]

FILES = {
    "file": "The model: a file whose name ends in .skops or .onnx.",
    "sample": "Training-like rows as CSV or Parquet: they give the schema, and test the compiled model.",
}
FIELDS = {
    "version": "The version's name; the next number if not given.",
    "alias": "The alias that names it; the first version of a model becomes `production`.",
    "schema": "A JSON Schema that sets bounds, `pii` and descriptions.",
    "target": "The sample's column that is no feature.",
    "engine": "`auto`, or `sklearn` to serve it as trained.",
    "public": "`true` to let all tenants use the model.",
    "description": "The purpose of the model.",
}


class Promotion(Form):
    version: Name
    share: float = Field(100.0, description="Percent of the keys that it answers; under 100 it is a canary.")
    revision: Revision = None


class Rollback(Form):
    alias: Name = PRODUCTION
    revision: Revision = None


@router.get("/admin/models/{name}", summary="Show a model")
def show_model(request: Request, name: str, caller: Admin) -> dict[str, Any]:
    """A model with its versions, their schemas and compilation tests, and the versions that its aliases name."""
    parts = parts_of(request)
    return describe_model(parts.database, parts.loader.code, name)


@router.post(
    "/admin/models/{name}/versions",
    summary="Register a version",
    status_code=201,
    openapi_extra=takes_multipart(FILES, FIELDS, ["file"]),
)
async def register(request: Request, name: str, caller: Admin) -> dict[str, Any]:
    """Examines the file in a process of its own, and lists what can be served; makes the model if it is new."""
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
    "/admin/models/{name}/aliases/{alias}",
    summary="Promote a version, or try it as a canary",
    openapi_extra=takes(Promotion),
)
def promote(
    request: Request,
    response: Response,
    name: str,
    alias: str,
    caller: Admin,
    body: Annotated[Promotion, json_body(Promotion)],
) -> dict[str, Any]:
    """Lets the alias name the version once it has been loaded; every process follows within a second."""
    parts = parts_of(request)
    with at_revision(request, body.revision) as revision:
        shown = promote_version(
            parts.database,
            actor=caller,
            name=name,
            version=body.version,
            trial=trial_by(parts.loader),
            alias=alias,
            share=body.share,
            revision=revision,
        )
    return tagged(response, shown)


@router.post("/admin/models/{name}/rollback", summary="Take the last promotion back", openapi_extra=takes(Rollback))
def roll_back(
    request: Request, response: Response, name: str, caller: Admin, body: Annotated[Rollback, json_body(Rollback)]
) -> dict[str, Any]:
    """Ends the alias's canary; without one, lets the alias name the version before."""
    database = parts_of(request).database
    with at_revision(request, body.revision) as revision:
        shown = rollback_alias(database, actor=caller, name=name, alias=body.alias, revision=revision)
    return tagged(response, shown)


@router.delete("/admin/models/{name}/versions/{version}", summary="Retire a version")
def retire(request: Request, name: str, version: str, caller: Admin) -> dict[str, Any]:
    """Takes a version that no alias names out of use for good; its records stay."""
    return retire_version(parts_of(request).database, actor=caller, name=name, version=version)


def _register(parts: Parts, caller: Person, name: str, submission: Submission, limit_seconds: float) -> dict[str, Any]:
    registered = register_version(
        parts.database,
        parts.store,
        parts.keyring,
        actor=caller,
        name=name,
        submission=submission,
        trusted=tuple(parts.settings.skops_trusted),
        models_path=parts.loader.code.folders,
        limit_seconds=limit_seconds,
        formats=HARMLESS,
    )
    return registered.shown


def _submission(files: dict[str, File], fields: dict[str, str]) -> Submission:
    """Returns the form's content. Raises `InvalidValue` or `BrokenJson`."""
    if "file" not in files:
        raise InvalidValue("the form needs a file")
    engine, public = fields.get("engine", "auto"), fields.get("public", "false")
    if engine not in {"auto", "sklearn"} or public not in {"true", "false"}:
        raise InvalidValue("engine is auto or sklearn, and public is true or false")
    sample = files.get("sample")
    schema = parse_json(fields["schema"].encode("utf-8", "surrogatepass")) if "schema" in fields else None
    return Submission(
        file_name=files["file"].name,
        content=files["file"].content,
        sample_name=sample.name if sample else None,
        sample=sample.content if sample else None,
        target=fields.get("target"),
        schema=schema,
        version=fields.get("version"),
        alias=fields.get("alias"),
        is_compiled=engine != "sklearn",
        is_public=public == "true",
        description=fields.get("description"),
    )
