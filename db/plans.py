"""Queries on plans."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.paging import Cut, Page, read_page
from db.tables import Plan

#: The plan of tenants that were given no other; it also limits people.
DEFAULT_PLAN = "default"


def find_plan(session: Session, name: str) -> Plan | None:
    return session.scalar(select(Plan).where(Plan.name == name))


def page_of_plans(session: Session, cut: Cut) -> Page:
    return read_page(session, select(Plan), Plan.name, cut)
