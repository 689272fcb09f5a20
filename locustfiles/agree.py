"""Agrees with an installation on tenants, keys and limits for one run.

    python -m locustfiles.agree DIR --host http://127.0.0.1:8000 --admin EMAIL --auditor EMAIL [--window 10]

It reads both passwords from standard input, one a line, the admin's first. DIR/agreement.json holds secrets. The
tenants are made for the run and carry a mark in their names; `--end` erases them afterwards.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from locustfiles.agreement import Agreement, Human, Maker
from locustfiles.client import Client

WINDOW_SECONDS = 10


def end(url: str, agreement: Agreement) -> None:
    """Erases the run's tenants; their records stay in the log, without values."""
    admin = Client.signed_in(url, agreement.people["admin"])
    for tenant in agreement.tenants:
        admin.json("DELETE", f"/admin/tenants/{tenant}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--host", required=True)
    parser.add_argument("--admin")
    parser.add_argument("--auditor")
    parser.add_argument("--window", type=int, default=WINDOW_SECONDS, help="seconds of each limit's window")
    parser.add_argument("--end", action="store_true")
    options = parser.parse_args()
    path = options.directory / "agreement.json"
    if options.end:
        end(options.host, Agreement.read(path))
        return
    emails = {"admin": options.admin, "auditor": options.auditor}
    people = {role: Human(email, sys.stdin.readline().rstrip("\n")) for role, email in emails.items()}
    options.directory.mkdir(parents=True, exist_ok=True)
    Maker(options.host, people, window_seconds=options.window).make().write(path)


if __name__ == "__main__":
    main()
