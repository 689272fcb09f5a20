"""Shows limits with their use: one tenant's, or every tenant's."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

from cli.context import Context
from cli.output import show

_COLUMNS = ("limit", "used", "left", "more_in_seconds")


def show_usage(tenant: str | None, *, as_json: bool) -> None:
    """Prints the limits of a tenant, its plan and its keys with their use; without a name every tenant's, but no keys'.

    As Redis counts it or, without Redis, as far as the log knows it.
    """
    # slowapi and what it needs take a while to import.
    from program.usage import usage_of_tenant, usage_of_tenants  # noqa: PLC0415  see above

    # A store that does not answer warns in the log; the refusal says the same in its one line.
    logging.getLogger("adyton").addHandler(logging.NullHandler())
    context = Context()
    if tenant is None:
        every = asyncio.run(usage_of_tenants(context.settings, context.database))
        show(every if as_json else _table(every, "tenant", "name"), as_json=as_json)
        return
    found = asyncio.run(usage_of_tenant(context.settings, context.database, tenant))
    if as_json:
        show(found, as_json=True)
        return
    show({name: value for name, value in found.items() if name != "policies"}, as_json=False)
    show(_table([found], "name", "key", "label"), as_json=False)


def _table(every: Sequence[dict[str, Any]], *first: str) -> list[dict[str, Any]]:
    """A line for each policy, with these columns before the others."""
    return [
        {column: (usage | policy)[column] for column in (*first, *_COLUMNS)}
        for usage in every
        for policy in usage["policies"]
    ]
