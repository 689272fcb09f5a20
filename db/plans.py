"""Queries on plans."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.tables import Plan


def find_plan(session: Session, name: str) -> Plan | None:
    return session.scalar(select(Plan).where(Plan.name == name))


def all_plans(session: Session) -> list[Plan]:
    return list(session.scalars(select(Plan).order_by(Plan.name)))
