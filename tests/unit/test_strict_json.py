"""JSON texts from outside, in the encodings in which programs write them."""

from __future__ import annotations

import json

import pytest

from values.strict_json import BrokenJson, parse_json

DOCUMENTS = [{"a": "é"}, [1, 2], 1, "", None]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_byte_order_mark_is_no_part_of_the_text(document):
    """RFC 8259 lets a parser ignore one; a second one is an error."""
    text = json.dumps(document, ensure_ascii=False)
    assert parse_json(text.encode("utf-8-sig")) == document
    with pytest.raises(BrokenJson):
        parse_json(("\ufeff\ufeff" + text).encode())


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("document", DOCUMENTS)
def test_other_encodings_of_unicode_are_refused_by_their_name(encoding, document):
    """With or without their own mark: the sender learns what to change."""
    with pytest.raises(BrokenJson, match=f"the body is in {encoding[:6].upper()}: send it in UTF-8"):
        parse_json(json.dumps(document).encode(encoding))
