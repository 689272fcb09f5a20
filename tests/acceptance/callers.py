"""Every kind of caller there is, and what each operation answers to it.

`EXPECTED` is checked in by hand. An operation that is not in it fails the matrix, and so does one that answers
anything else: nothing is allowed because nobody thought of it.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from admin.users import create_user, disable_user
from auth import api_keys
from auth.principal import Scope
from auth.signing_keys import SigningKeys
from auth.tokens import Tokens
from db.keys import credentials_of
from db.reach import EVERY_TENANT
from tests.support.site import ACTOR
from values.subjects import Subject

#: Kinds that are nobody: no operation may tell them apart.
NOBODY = ("none", "malformed", "wrong checksum", "unknown", "revoked", "expired", "not yet valid", "suspended tenant",
          "address not allowed", "token of a revoked key", "disabled admin", "admin of a suspended tenant")  # fmt: skip
KEYS = ("no scope for it", "other tenant", "model not granted", "key", "token of the key")
PEOPLE = ("admin before the password is changed", "other tenant's auditor", "other tenant's admin", "auditor",
          "tenant's auditor", "tenant's admin", "admin")  # fmt: skip
KINDS = (*NOBODY, *KEYS, *PEOPLE)

PASSWORD = "plain words for tests 1"

_NOBODY = dict.fromkeys(NOBODY, 401)
_NO_PEOPLE = dict.fromkeys(PEOPLE, 403)


def keys(**statuses):
    """What keys may do and people may not; a token answers as its key does."""
    named = {kind.replace("_", " "): status for kind, status in statuses.items()}
    return _NOBODY | _NO_PEOPLE | named | {"token of the key": named["key"]}


def people(ok=200, *, tenants=(), auditors=(), others=403):
    """What an admin may do, the tenant's people that are named, and the auditors; to all of it a key is nobody's."""
    expected = _NOBODY | dict.fromkeys(KEYS, 401) | _NO_PEOPLE | {"admin": ok}
    expected |= dict.fromkeys(tenants, ok) | dict.fromkeys(auditors, 200)
    return expected | ({"other tenant's admin": others} if others != 403 else {})


OPEN = dict.fromkeys(KINDS, 200)
PREDICTION = keys(no_scope_for_it=403, other_tenant=404, model_not_granted=404, key=200)
DEFAULT_PREDICTION = PREDICTION | {"other tenant": 200}
LISTING = keys(no_scope_for_it=403, other_tenant=200, model_not_granted=200, key=200)
OWN = _NOBODY | dict.fromkeys((*KEYS, *PEOPLE), 200)
AUDIT = LISTING | dict.fromkeys(("auditor", "tenant's auditor", "other tenant's auditor"), 200)
ADMIN = people()
TENANTS_KEYS = people(tenants=["tenant's admin"], others=404)

EXPECTED = {
    "POST /v1/models/{model}/predict": PREDICTION,
    "POST /v1/models/{model}/predict/batch": PREDICTION,
    "POST /predict": DEFAULT_PREDICTION,
    "POST /batch_predict": DEFAULT_PREDICTION,
    "GET /v1/models": LISTING,
    "GET /v1/models/{model}": PREDICTION,
    "GET /v1/me": OWN,
    "GET /v1/usage": OWN,
    "POST /auth/token": dict.fromkeys(KINDS, 400),
    "POST /auth/revoke": OPEN,
    # Everybody who has a password may ask for another; this one is too short.
    "POST /auth/password": _NOBODY | dict.fromkeys(KEYS, 401) | dict.fromkeys(PEOPLE, 422),
    "GET /.well-known/jwks.json": OPEN,
    "GET /audit/predictions": AUDIT,
    "GET /audit/predictions/{request_id}": AUDIT | {"other tenant": 404, "other tenant's auditor": 404},
    "GET /admin/models/{name}": ADMIN,
    # Its form is empty, and whoever may send it is told so.
    "POST /admin/models/{name}/versions": people(415),
    "PUT /admin/models/{name}/aliases/{alias}": ADMIN,
    # There is nothing to roll back to, and a version that an alias names is not retired.
    "POST /admin/models/{name}/rollback": people(409),
    "DELETE /admin/models/{name}/versions/{version}": people(409),
    "GET /admin/tenants": ADMIN,
    "POST /admin/tenants": people(201),
    "GET /admin/tenants/{name}": ADMIN,
    "PATCH /admin/tenants/{name}": ADMIN,
    "DELETE /admin/tenants/{name}": ADMIN,
    "GET /admin/tenants/{name}/usage": ADMIN,
    "GET /admin/tenants/{name}/keys": TENANTS_KEYS,
    "POST /admin/tenants/{name}/keys": people(201, tenants=["tenant's admin"], others=404),
    "GET /admin/keys/{key_id}": TENANTS_KEYS,
    "PATCH /admin/keys/{key_id}": TENANTS_KEYS,
    "DELETE /admin/keys/{key_id}": TENANTS_KEYS,
    "POST /admin/keys/{key_id}/rotate": TENANTS_KEYS,
    "GET /admin/plans": ADMIN,
    "GET /admin/plans/{name}": ADMIN,
    "PUT /admin/plans/{name}": ADMIN,
    "PATCH /admin/plans/{name}": ADMIN,
    "GET /admin/users": ADMIN,
    "POST /admin/users": people(201),
    "GET /admin/users/{user_id}": ADMIN,
    "PATCH /admin/users/{user_id}": ADMIN,
    "POST /admin/users/{user_id}/reset": ADMIN,
    "GET /admin/models": ADMIN,
    "PUT /admin/models/{name}/grants/{tenant}": ADMIN,
    "DELETE /admin/models/{name}/grants/{tenant}": ADMIN,
    # A list: another tenant's people get their own.
    "GET /admin/events": people(
        tenants=["tenant's admin", "other tenant's admin"],
        auditors=["auditor", "tenant's auditor", "other tenant's auditor"],
    ),
    "GET /health": OPEN,
    "GET /health/ready": OPEN,
}

ROW = {"sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2}
BODIES = {
    "POST /v1/models/{model}/predict": {"x": 1},
    "POST /v1/models/{model}/predict/batch": {"rows": [{"x": 1}]},
    "POST /predict": ROW,
    "POST /batch_predict": [ROW],
    "POST /auth/password": {"current_password": PASSWORD, "new_password": "short"},
    "PUT /admin/models/{name}/aliases/{alias}": {"version": "1"},
    "POST /admin/models/{name}/rollback": {},
    "POST /admin/tenants": {"name": "new"},
    "PATCH /admin/tenants/{name}": {"limit": ["5/minute"]},
    "POST /admin/tenants/{name}/keys": {"label": "new"},
    "PATCH /admin/keys/{key_id}": {"label": "changed"},
    "POST /admin/keys/{key_id}/rotate": {"overlap": "1h"},
    "PUT /admin/plans/{name}": {"concurrency": 5},
    "PATCH /admin/plans/{name}": {"concurrency": 6},
    "POST /admin/users": {"email": "new@example.com", "role": "auditor"},
    "PATCH /admin/users/{user_id}": {"status": "disabled"},
    "POST /admin/users/{user_id}/reset": {},
}
FORMS = {"POST /auth/token": {"grant_type": "nonsense"}, "POST /auth/revoke": {"token": "nonsense"}}

#: The one scope that a key of the kind "no scope for it" has.
OTHER_SCOPE = {"POST": Scope.AUDIT_READ_OWN, "GET /audit": Scope.PREDICT, "GET": Scope.AUDIT_READ_OWN}
OTHER_SCOPES = (Scope.PREDICT, Scope.AUDIT_READ_OWN)


def prepare(site) -> dict[str, str | None]:
    """A credential for each kind of caller; of "no scope for it", one for each scope that it may have."""
    now = datetime.now(UTC)
    issued, revoked = site.issue(), site.issue()
    tokens = Tokens(SigningKeys(site.database, site.keyring))
    suspended = site.key(site.tenant("suspended"))
    site.tenant("other")
    made = {
        "none": None,
        "malformed": "ady_nonsense",
        "wrong checksum": issued.raw_key[:-1] + ("0" if issued.raw_key[-1] != "0" else "1"),
        "unknown": api_keys.mint(),
        "revoked": revoked.raw_key,
        "expired": site.key(expires_at=now - timedelta(seconds=1)),
        "not yet valid": site.key(not_before=now + timedelta(hours=1)),
        "suspended tenant": suspended,
        "address not allowed": site.key(cidrs=["203.0.113.0/24"]),
        "token of a revoked key": token_of_key(site, tokens, revoked),
        "other tenant": site.key("other"),
        "model not granted": site.key(models=["wine"]),
        "key": issued.raw_key,
        "token of the key": token_of_key(site, tokens, issued),
    }
    made |= {f"no scope for it: {scope}": site.key(scopes=[scope]) for scope in OTHER_SCOPES}
    for kind, (role, tenant) in {
        "disabled admin": ("admin", None), "admin of a suspended tenant": ("admin", "suspended"),
        "admin before the password is changed": ("admin", None), "auditor": ("auditor", None),
        "other tenant's auditor": ("auditor", "other"), "other tenant's admin": ("admin", "other"),
        "tenant's auditor": ("auditor", "acme"), "tenant's admin": ("admin", "acme"), "admin": ("admin", None),
    }.items():  # fmt: skip
        made[kind] = token_of_person(site, tokens, kind, role, tenant)
    site.revoke(revoked.key.id)
    site.suspend("suspended")
    return made


def credential(made, kind: str, operation: str) -> str | None:
    """The credential of that kind for that operation."""
    method = operation.partition(" ")[0]
    scope = OTHER_SCOPE[
        "GET /audit" if operation.startswith("GET /audit") else method if method in OTHER_SCOPE else "GET"
    ]
    return made[f"{kind}: {scope}" if kind == "no scope for it" else kind]


def token_of_key(site, tokens, issued) -> str:
    with site.database.reading(EVERY_TENANT) as session:
        (secret,) = [each.secret for each in credentials_of(session, issued.key.id, tenant_id=EVERY_TENANT)]
    return tokens.issue(subject=Subject.of_key(issued.key.id), credential=secret.id,
                        scope=" ".join(issued.key.scopes), not_after=float("inf"))[0]  # fmt: skip


def token_of_person(site, tokens, kind: str, role: str, tenant: str | None) -> str:
    email = f"{abs(hash(kind))}@example.com"
    user = create_user(site.database, actor=ACTOR, email=email, role=role, tenant=tenant, password=PASSWORD,
                       must_change_password="before" in kind).user  # fmt: skip
    if kind.startswith("disabled"):
        disable_user(site.database, actor=ACTOR, user_id=user.id)
    return tokens.issue(subject=Subject.of_user(user.id), credential="1", scope=role, not_after=float("inf"))[0]
