"""Prints a command's result: as one JSON document, or as tables for people, where control characters are escaped."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any

import orjson
import typer

from values.texts import shown

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


def show(value: Mapping[str, Any] | Sequence[Mapping[str, Any]], *, as_json: bool) -> None:
    """Prints an object or a list of objects on standard output."""
    if as_json:
        sys.stdout.write(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode() + "\n")
        return
    # `adyton serve` prints no table, and need not wait for it.
    from rich.console import Console  # noqa: PLC0415  see above
    from rich.text import Text  # noqa: PLC0415  the same

    if isinstance(value, Mapping):
        for name, each in value.items():
            Console(highlight=False, soft_wrap=True).print(Text(f"{shown(name):15} {_text(each)}"))
    else:
        _table(value)


def _table(rows: Sequence[Mapping[str, Any]]) -> None:
    from rich.console import Console  # noqa: PLC0415  see above
    from rich.table import Table  # noqa: PLC0415  the same
    from rich.text import Text  # noqa: PLC0415  the same

    if not rows:
        Console().print("none")
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in rows[0]:
        table.add_column(Text(shown(name)), overflow="fold")
    for row in rows:
        # A bare text would be read as markup: `[red]` of somebody's label as a colour, `:dog:` as a picture.
        table.add_row(*(Text(_text(value)) for value in row.values()))
    Console(highlight=False).print(table)


def _text(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds").replace("+00:00", "Z")
    if isinstance(value, Mapping):
        return shown(orjson.dumps(value).decode())
    return ", ".join(map(_text, value)) if isinstance(value, list | tuple | set) else shown(str(value))
