"""A JSON body as an object of a declared form: read after the caller is known, strict, and refused without its values.

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
#: As it is written in JSON; after an even number of backslashes, which write each other.
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


class Form(BaseModel):
    """What a body may say: nothing unknown, and nothing in another type than its own."""

    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True, frozen=True)


class InvalidBody(TransportRefusal):
    """The body is JSON and not of the form that is asked for."""

    problem = problems.INVALID_BODY

    def __init__(self, errors: Sequence[Violation]) -> None:
        super().__init__()
        self.errors = errors


def json_body(form: type[Form]) -> Any:
    """A dependency on the body; stands after the caller in a route's parameters, so that nobody unknown is read."""

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
    """Refuses what no database takes in a text, whichever member it is in."""
    try:
        written = json.dumps(document, ensure_ascii=False)
        written.encode()
    except UnicodeEncodeError:
        # Half of a surrogate pair, which is no character.
        raise BrokenJson("a text is not Unicode") from None
    if _NUL.search(written):
        raise InvalidBody([Violation("", "no_nul", "has a text with a NUL in it")])


def takes(form: type[Form]) -> dict[str, Any]:
    """What OpenAPI says of a route with such a body."""
    schema = form.model_json_schema()
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def _body_error(error: Any) -> Violation:
    # A member we do not know is placed at its object: its name is the caller's.
    known = error["loc"][:-1] if error["type"] == "extra_forbidden" else error["loc"]
    message = "has a member that is not known" if error["type"] == "extra_forbidden" else error["msg"]
    return Violation(pointer(known), error["type"], message)
