"""An owner's limits, as they are asked for in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy.orm import Session

from admin.facts import InvalidValue
from db.policies import Level, Unit, replace_policies
from quotas.policies import InvalidLimit, parse_limits


def set_limits(
    session: Session, level: Level, owner_id: str, *, requests: Sequence[str] | None, rows: Sequence[str] | None
) -> dict[str, Any]:
    """Gives the owner these limits; None leaves a unit's limits as they are. Returns what was changed."""
    changed: dict[str, Any] = {}
    wanted: list[tuple[Unit, Sequence[str] | None]] = [("requests", requests), ("rows", rows)]
    for unit, texts in wanted:
        if texts is None:
            continue
        try:
            policies = parse_limits(list(texts), level, unit)
        except InvalidLimit as error:
            raise InvalidValue(str(error)) from None
        replace_policies(session, level, owner_id, unit, policies)
        changed[unit] = list(texts)
    return changed
