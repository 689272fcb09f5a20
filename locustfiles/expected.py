"""The right answers to each kind of request: a status, and the problem's name where it is refused."""

from __future__ import annotations

from locustfiles.answers import Answer

Right = tuple[int, str]

DONE: Right = (200, "")
MADE: Right = (201, "")
NONE: Right = (0, "")
OVER: Right = (429, "quota-exceeded")
CROWDED: Right = (429, "too-many-at-once")
STRANGER: Right = (401, "unauthorized")
UNKNOWN: Right = (404, "not-found")
INVALID: Right = (422, "invalid-rows")
MALFORMED: Right = (400, "malformed-request")
BROKEN: Right = (400, "broken-json")
#: An address that failed too often is told so; a valid key is still served.
THROTTLED: Right = (429, "too-many-failures")
#: No process may know a caller whose revocation it could have missed. A busy machine brings this about, too, so that
#: the judge counts it by itself.
UNAVAILABLE: Right = (503, "directory-unavailable")

EXPECTED: dict[str, set[Right]] = {
    # Within its limits: whatever refuses it is a fault.
    "before": {DONE},
    "quiet": {DONE},
    "quiet batch": {DONE},
    # Up to their limits.
    "predict": {DONE, OVER},
    "batch": {DONE, OVER},
    # Abuse by a known caller.
    "broken JSON": {BROKEN},
    "a member twice": {BROKEN},
    "a text for a number": {INVALID},
    "an unknown member": {INVALID},
    "a member is missing": {INVALID},
    "a value out of bounds": {INVALID},
    "too many rows": {INVALID},
    "more rows than ever allowed": {(422, "exceeds-quota")},
    "a body too large": {(413, "too-large")},
    "another content type": {(415, "unsupported-media-type")},
    "another method": {(405, "method-not-allowed")},
    "an unknown model": {UNKNOWN},
    "no scope for it": {(403, "forbidden")},
    "two credentials": {MALFORMED},
    "an admin's route by a key": {STRANGER, THROTTLED},
    # Strangers.
    "no credential": {STRANGER, THROTTLED},
    "a malformed key": {STRANGER, THROTTLED},
    "an unknown key": {STRANGER, THROTTLED},
    "an unknown path": {UNKNOWN, THROTTLED},
    # Slow senders: those that give up get no answer, and the others are served.
    "a head without end": {NONE, MALFORMED},
    "a body without end": {NONE, MALFORMED, CROWDED},
    "slow but whole": {DONE, CROWDED},
    "beside slow senders": {DONE, CROWDED},
    # People, and the keys that they issue.
    "admin: a tenant": {DONE},
    "admin: a tenant's keys": {DONE},
    "admin: plans": {DONE},
    "admin: events": {DONE},
    "admin: issue a key": {MADE},
    "admin: change a key": {DONE},
    "admin: revoke a key": {DONE},
    "a new key": {DONE},
    "a changed key": {DONE},
    "a revoked key": {STRANGER, THROTTLED},
    "auditor: newest records": {DONE},
    "auditor: refusals": {DONE},
    "auditor: one record": {DONE},
}
#: After so many failures in a minute an address is throttled, and not before.
MAX_FAILURES, FAILURES_SECONDS = 600, 60


def fault_of(answer: Answer) -> str:
    """The fault of an answer, in words; empty if it has none."""
    if answer.wrong:
        return f"{answer.kind}: {answer.wrong}"
    got = (answer.status, answer.problem)
    if got == UNAVAILABLE or got in EXPECTED.get(answer.kind, set()):
        return ""
    words = f"{answer.status} {answer.problem}".strip() if answer.status else "no answer"
    return f"{answer.kind}: {words}"
