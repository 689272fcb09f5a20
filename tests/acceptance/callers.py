"""Every kind of caller there is, and what each operation answers to it.

`EXPECTED` is checked in by hand. An operation that is not in it fails the matrix, and so does one that answers
anything else: nothing is allowed because nobody thought of it.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from auth import api_keys
from auth.principal import Scope

#: Kinds that are nobody: no operation may tell them apart.
NOBODY = ("none", "malformed", "wrong checksum", "unknown", "revoked", "expired", "not yet valid", "suspended tenant",
          "address not allowed")  # fmt: skip
KINDS = (*NOBODY, "no scope for it", "other tenant", "model not granted", "key")

OPEN = dict.fromkeys(KINDS, 200)
PREDICTION = dict.fromkeys(NOBODY, 401) | {
    "no scope for it": 403,
    "other tenant": 404,
    "model not granted": 404,
    "key": 200,
}
DEFAULT_PREDICTION = dict.fromkeys(NOBODY, 401) | {
    "no scope for it": 403, "other tenant": 200, "model not granted": 404, "key": 200,
}  # fmt: skip
OWN = dict.fromkeys(NOBODY, 401) | {"no scope for it": 200, "other tenant": 200, "model not granted": 200, "key": 200}

EXPECTED = {
    "POST /v1/models/{model}/predict": PREDICTION,
    "POST /v1/models/{model}/predict/batch": PREDICTION,
    "POST /predict": DEFAULT_PREDICTION,
    "POST /batch_predict": DEFAULT_PREDICTION,
    "GET /v1/models": OWN | {"no scope for it": 403},
    "GET /v1/models/{model}": PREDICTION,
    "GET /v1/me": OWN,
    "GET /v1/usage": OWN,
    "GET /audit/predictions": OWN | {"no scope for it": 403},
    "GET /audit/predictions/{request_id}": OWN
    | {"no scope for it": 403, "other tenant": 404, "model not granted": 200},
    "GET /health": OPEN,
    "GET /health/ready": OPEN,
}

#: A scope that each operation does not ask for.
OTHER_SCOPE = {"POST": Scope.AUDIT_READ_OWN, "GET /audit": Scope.PREDICT, "GET": Scope.AUDIT_READ_OWN}


def credentials(site, operation: str) -> dict[str, str | None]:
    """A key for each kind of caller, made for this operation."""
    now = datetime.now(UTC)
    raw_key = site.key()
    revoked, suspended = site.issue(), site.key(site.tenant("suspended"))
    site.revoke(revoked.key.id)
    site.suspend("suspended")
    method = operation.split(" ", maxsplit=1)[0]
    scope = OTHER_SCOPE["GET /audit"] if operation.startswith("GET /audit") else OTHER_SCOPE[method]
    return {
        "none": None,
        "malformed": "ady_nonsense",
        "wrong checksum": raw_key[:-1] + ("0" if raw_key[-1] != "0" else "1"),
        "unknown": api_keys.mint(),
        "revoked": revoked.raw_key,
        "expired": site.key(expires_at=now - timedelta(seconds=1)),
        "not yet valid": site.key(not_before=now + timedelta(hours=1)),
        "suspended tenant": suspended,
        "address not allowed": site.key(cidrs=["203.0.113.0/24"]),
        "no scope for it": site.key(scopes=[scope]),
        "other tenant": site.key(site.tenant("other")),
        "model not granted": site.key(models=["wine"]),
        "key": raw_key,
    }
