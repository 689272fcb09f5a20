"""Every refusal's words at registration stand in docs/models.md, with what to do; and nothing stands there that no code says."""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path

from inference.files.foreign import every_look

ROOT = Path(__file__).parents[2]
#: The facts whose words an operator reads at registration; `InvalidValue` only where models are registered.
FACTS = {
    "RefusedFile",
    "RefusedSample",
    "RefusedSchema",
    "RefusedModel",
    "NotServable",
    "UnsupportedSchema",
    "UnsafeOnnx",
    "AlteredCode",
}
ROOMS = [("examination", FACTS), ("inference", FACTS), ("admin/models", {"InvalidValue"})]
#: In these files of `admin/models` it is about aliases and grants.
OTHER_SUBJECTS = {"promotion.py", "access.py", "bundled.py", "listings.py"}
#: Functions of these files make the words of several others.
SHARED_WORDS = {"code_words.py", "feature_names.py"}
GAP = "…"


def words_in_code():
    """Each literal with a gap for every value in it, and the place where it is raised; what passes another's words on is none."""
    found, elsewhere = {}, {}
    trees = {
        path: (ast.parse(path.read_text()), facts)
        for room, facts in ROOMS
        for path in sorted((ROOT / room).rglob("*.py"))
        if path.name not in OTHER_SUBJECTS
    }
    for path, (tree, _) in trees.items():
        elsewhere |= {name: text for name, text in texts_of(tree).items() if name.isupper()}
        if path.name in SHARED_WORDS:
            elsewhere |= returned_by(tree)
    for path, (tree, facts) in trees.items():
        constants = elsewhere | returned_by(tree) | texts_of(tree)
        for node in ast.walk(tree):
            for expression in refusals_in(node, facts):
                place = f"{path.relative_to(ROOT)}:{expression.lineno}"
                for text in spelled(expression, constants, place):
                    found.setdefault(re.sub(f"{GAP}+", GAP, text), place)
    return found


def refusals_in(node, facts):
    """The words of a fact that is made here, or that the examining process hands back."""
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") in facts:
        return node.args[:1]
    if isinstance(node, ast.Dict):
        pairs = zip(node.keys, node.values, strict=True)
        return [value for key, value in pairs if isinstance(key, ast.Constant) and key.value == "refused"]
    return []


def texts_of(tree):
    """The texts that a file gives a name to, where it gives that name once."""
    assigned = [
        (target.id, node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    ]
    counts = Counter(name for name, _ in assigned)
    return {
        name: value
        for name, value in assigned
        if counts[name] == 1
        and (isinstance(value, ast.JoinedStr) or (isinstance(value, ast.Constant) and isinstance(value.value, str)))
    }


def returned_by(tree):
    """The texts that a file's functions return, by the functions' names."""
    return {
        f"{node.name}()": [
            each.value for each in ast.walk(node) if isinstance(each, ast.Return) and not is_nothing(each.value)
        ]
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
    }


def called(call):
    """The name of a function, or of a method of the same object."""
    is_own = isinstance(call.func, ast.Attribute) and getattr(call.func.value, "id", "") == "self"
    return call.func.attr if is_own else getattr(call.func, "id", "")


def is_nothing(value):
    return value is None or (isinstance(value, ast.Constant) and value.value is None)


def spelled(node, constants, place):
    """The texts that an expression may have; none where it passes words on that another place has said."""
    if isinstance(node, ast.Constant):
        return [str(node.value)]
    if isinstance(node, ast.Call) and (returned := constants.get(f"{called(node)}()")):
        return [text for each in returned for text in spelled(each, constants, place)]
    if isinstance(node, ast.Name) and node.id in constants:
        return spelled(constants[node.id], constants, place)
    if isinstance(node, ast.JoinedStr):
        return ["".join(part for each in node.values for part in gap_or_text(each, constants, place))]
    if isinstance(node, ast.IfExp):
        return spelled(node.body, constants, place) + spelled(node.orelse, constants, place)
    passes_on = isinstance(node, ast.Subscript) or (
        isinstance(node, ast.Call)
        and (getattr(node.func, "id", "") == "str" or getattr(node.func, "attr", "") == "join")
    )
    assert passes_on, (
        f"{place}: write a refusal's words as one text or f-string, so that docs/models.md can be held to it"
    )
    return []


def gap_or_text(node, constants, place):
    if isinstance(node, ast.Constant):
        return [node.value]
    if isinstance(node.value, ast.Name) and node.value.id in constants:
        return spelled(constants[node.value.id], constants, place)
    return [GAP]


def section(heading):
    """The rows of the table under a heading of docs/models.md, as pairs of cells."""
    text = (ROOT / "docs/models.md").read_text().partition(f"## {heading}\n")[2].partition("\n## ")[0]
    rows = [line.strip("| \n").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return [
        tuple(row) for row in rows if not set(row[0]) <= set("-|") and row[0] != "words" and row[0] != "the file is"
    ]


def test_every_refusal_has_its_line_with_what_to_do():
    """Found in the code, word for word; a value in the words is written as a gap."""
    table = dict(section("Refusals"))
    lacking = {words: place for words, place in words_in_code().items() if words not in table}
    assert not lacking, "docs/models.md, Refusals, lacks:\n" + "\n".join(
        f"{place}: | {words} | ... |" for words, place in lacking.items()
    )
    for words, advice in table.items():
        assert len(advice) > 9, f"what is to be done about: {words}?"


def test_no_line_is_about_words_that_nothing_says():
    """Words that changed leave their old line behind."""
    said = words_in_code()
    stale = [words for words, _ in section("Refusals") if words not in said]
    assert not stale, "docs/models.md, Refusals, has lines whose words are gone:\n" + "\n".join(stale)


def test_every_kind_of_file_that_is_told_apart_is_listed():
    """With the same words about what to do."""
    assert section("Files of other kinds") == [(look.kind, look.advice) for look in every_look()]
