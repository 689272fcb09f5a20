"""Reads a JSON body into a declared form: strictly, after the caller is known, and with no value of it in a refusal.

FastAPI would read and judge a body before any dependency runs, and repeat its values in the refusal.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from fastapi import Depends, Request
from pydantic import BaseModel, ConfigDict, ValidationError

from api.http.body import in_time, read_body
from api.http.security import parts_of
from serving import problems
from serving.facts import TransportRefusal
from values.json_pointer import Violation, pointer
from values.strict_json import BrokenJson, parse_json

MAX_ERRORS = 100
#: A NUL as JSON writes it. Backslashes before it come in pairs, each pair an escaped backslash.
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


class Form(BaseModel):
    """The members of a body. Unknown members and values of another type are refused."""

    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True, frozen=True)


class InvalidBody(TransportRefusal):
    """The body is JSON, but not in the form that the route takes."""

    problem = problems.INVALID_BODY

    def __init__(self, errors: Sequence[Violation]) -> None:
        super().__init__()
        self.errors = errors


def json_body(form: type[Form]) -> Any:
    """A dependency on the body. Routes declare it after the caller, so that no unknown caller's body is read."""

    async def read(request: Request) -> Form:
        settings = parts_of(request).settings
        raw = await in_time(request, read_body(request, settings.max_body_bytes))
        document = parse_json(raw)
        _check_texts(document)
        return validated(form, document)

    return Depends(read)


def validated(form: type[Form], document: Any) -> Form:
    """The document in that form. Raises `InvalidBody`."""
    try:
        return form.model_validate(document)
    except ValidationError as error:
        details = error.errors(include_input=False, include_url=False, include_context=False)
        raise InvalidBody([_body_error(each) for each in details[:MAX_ERRORS]]) from None


def _check_texts(document: Any) -> None:
    """Refuses texts that no database takes, in any member."""
    try:
        written = json.dumps(document, ensure_ascii=False)
        written.encode()
    except UnicodeEncodeError:
        # Half of a surrogate pair, which is no character.
        raise BrokenJson("a text is not Unicode") from None
    if _NUL.search(written):
        raise InvalidBody([Violation("", "no_nul", "has a text with a NUL in it")])


def takes(form: type[Form]) -> dict[str, Any]:
    """The OpenAPI description of a route with such a body."""
    schema = form.model_json_schema()
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def _body_error(error: Any) -> Violation:
    # An unknown member is reported at its object: its name is the caller's.
    known = error["loc"][:-1] if error["type"] == "extra_forbidden" else error["loc"]
    message = "has a member that is not known" if error["type"] == "extra_forbidden" else error["msg"]
    return Violation(pointer(known), error["type"], message)
