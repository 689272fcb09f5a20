"""JSON by the letter (RFC 8259): refuses what fast parsers forgive. Every JSON text from outside is read here.

A byte order mark before it is no part of the text: Windows' editors write one, and the RFC lets a parser ignore it.
"""

from __future__ import annotations

import codecs
import json
from typing import Any


class BrokenJson(Exception):
    """The body is not one JSON text, or has a member twice."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def parse_json(body: bytes) -> Any:
    """Returns the document in the body.

    Raises `BrokenJson`, also for a member twice, NaN, infinities and encodings other than UTF-8.
    """
    if (encoding := json.detect_encoding(body)).startswith(("utf-16", "utf-32")):
        raise BrokenJson(f"the body is in {encoding[:6].upper()}: send it in UTF-8")
    try:
        text = body.removeprefix(codecs.BOM_UTF8).decode("utf-8")
        document = json.loads(text, object_pairs_hook=_unique, parse_constant=_not_json)
        if b"\\u" in body:
            # Only an escape can write half of a surrogate pair.
            json.dumps(document, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise BrokenJson("a text is not Unicode") from None
    except UnicodeDecodeError:
        raise BrokenJson("the body is not UTF-8") from None
    except RecursionError:
        raise BrokenJson("the body is nested too deeply") from None
    except json.JSONDecodeError as error:
        raise BrokenJson(f"the body is not JSON: line {error.lineno}, column {error.colno}") from None
    except ValueError:
        # Python reads no integer of more than some thousand digits.
        raise BrokenJson("the body has a number of too many digits") from None
    return document


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise BrokenJson("an object has the same member twice")
    return members


def _not_json(_: str) -> None:
    raise BrokenJson("NaN and infinities are not JSON")
