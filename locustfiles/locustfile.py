"""Everybody who uses an installation, at once: partners, abusers, admins and auditors.

    locust -f locustfiles/locustfile.py --headless --agreement FILE --answers FILE --host http://127.0.0.1:8000 ...

`--agreement` is made by `python -m locustfiles.agree`; `python -m locustfiles.judge` judges the answers afterwards.
`python -m locustfiles.run` does all of it. This file knows Locust's events and nothing else.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from locust import events
from locust.runners import WorkerRunner

from locustfiles import handover, users
from locustfiles.abuse import Abuser, Crowd, Guesser, SlowBody, SlowButWhole, SlowHead
from locustfiles.agreement import Agreement
from locustfiles.answers import write_answers
from locustfiles.partners import OfFirstTenant, OfOneKey, OfRows, OfSecondTenant, OfSmallPlan, Quiet, QuietBatches
from locustfiles.people import Admin, Auditor
from locustfiles.phases import Phases

__all__ = [
    "Abuser",
    "Admin",
    "Auditor",
    "Crowd",
    "Guesser",
    "OfFirstTenant",
    "OfOneKey",
    "OfRows",
    "OfSecondTenant",
    "OfSmallPlan",
    "Phases",
    "Quiet",
    "QuietBatches",
    "SlowBody",
    "SlowButWhole",
    "SlowHead",
    "handover",
]


@events.init_command_line_parser.add_listener
def _add_options(parser: Any) -> None:
    parser.add_argument("--agreement", required=True, help="keys, limits and people, as JSON")
    parser.add_argument("--answers", default="answers.ndjson", help="where the master writes what clients saw")
    parser.add_argument("--alone-seconds", type=float, default=10, help="the quiet tenant alone")
    parser.add_argument("--beside-seconds", type=float, default=25, help="everybody")
    parser.add_argument("--only", default="", help="only these classes of users, with commas between")
    parser.add_argument("--rate", type=float, default=1.0, help="times the rates of arrivals")
    parser.add_argument("--greedy-users", type=int, default=2, help="users of each limit, in a closed loop")


@events.init.add_listener
def _begin(environment: Any, **_: Any) -> None:
    options = environment.parsed_options
    vars(users.agreement).update(vars(Agreement.read(Path(options.agreement))))
    for greedy in (OfOneKey, OfSmallPlan, OfFirstTenant, OfSecondTenant, OfRows):
        greedy.weight = options.greedy_users


@events.quitting.add_listener
def _write(environment: Any, **_: Any) -> None:
    if isinstance(environment.runner, WorkerRunner):
        return
    write_answers(Path(environment.parsed_options.answers), users.answers)
    # Refusals are expected here: the judge decides, and not Locust's count of failures. A user that raised is a fault
    # of this kit, and ends with another code than the judge's.
    environment.process_exit_code = 2 if environment.runner.exceptions else 0
    if not users.answers:
        sys.stderr.write("nobody was answered\n")
        environment.process_exit_code = 2
