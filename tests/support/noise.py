"""Ways in which one caller can be noisy within its limits; every operation of the OpenAPI document is among them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import numpy as np
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline

from tests.support.site import IRIS, dumped

WIDE = 800
TEXT = "neither a number nor a name, 4111 1111 1111 1111 or +44 7911 123456, " * 140
JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@dataclass(frozen=True)
class Noise:
    """One request that is costly, or could be. `operation` is its method and path as OpenAPI writes them."""

    name: str
    operation: str
    url: str
    content: bytes = b""
    headers: dict[str, str] = field(default_factory=lambda: JSON)
    #: Whether it is sent with the key, or as a stranger.
    is_known: bool = True

    @property
    def method(self) -> str:
        return self.operation.partition(" ")[0]


def prepare(site) -> None:
    """Registers a model of many features and a model of texts."""
    random = np.random.default_rng(1)
    names = [f"feature_{number}" for number in range(WIDE)]
    rows = random.normal(size=(40, WIDE))
    site.model("wide", LinearRegression().fit(rows, rows[:, 0]), rows, names, is_compiled=False)
    texts = ["good", "bad", "ugly", "fine"] * 5
    judge = make_pipeline(HashingVectorizer(n_features=64), LogisticRegression()).fit(texts, [1, 0, 0, 1] * 5)
    site.register(
        "words",
        "words.joblib",
        dumped(judge),
        sample_name="s.csv",
        sample=("text\n" + "\n".join(texts)).encode(),
        is_public=True,
        is_apart=False,
        is_compiled=False,
    )


def _json(document) -> bytes:
    return json.dumps(document).encode()


def noises(key: str) -> list[Noise]:
    """Returns the ways to be noisy, one a line."""
    wide = {f"feature_{number}": 1.5 for number in range(WIDE)}
    one, many = "POST /v1/models/{model}/predict", "POST /v1/models/{model}/predict/batch"
    client = f"client_id={key[4:16]}&client_secret="
    return [
        Noise("one row", one, "/v1/models/iris/predict", _json(IRIS)),
        Noise("a thousand rows", many, "/v1/models/iris/predict/batch", _json({"rows": [IRIS] * 1000})),
        Noise("a hundred empty rows of many features", many, "/v1/models/wide/predict/batch", _json({"rows": [{}] * 100})),
        Noise("a thousand empty rows", many, "/v1/models/iris/predict/batch", _json({"rows": [{}] * 1000})),
        Noise("rows that are no rows", many, "/v1/models/wide/predict/batch", _json({"rows": [[]] * 1000})),
        Noise("unknown members", one, "/v1/models/iris/predict", _json({f"x{n}": n for n in range(60_000)})),
        Noise("a row of many features", one, "/v1/models/wide/predict", _json(wide)),
        Noise("fifty rows of many features", many, "/v1/models/wide/predict/batch", _json({"rows": [wide] * 50})),
        Noise("wrong values of many features", one, "/v1/models/wide/predict", _json(dict.fromkeys(wide, "x"))),
        Noise("wrong values in fifty rows", many, "/v1/models/wide/predict/batch", _json({"rows": [dict.fromkeys(wide, "x")] * 50})),
        Noise("a long text", one, "/v1/models/words/predict", _json({"text": TEXT})),
        Noise("a hundred long texts", many, "/v1/models/words/predict/batch", _json({"rows": [{"text": TEXT}] * 100})),
        Noise("a text that is too long", one, "/v1/models/words/predict", _json({"text": "a" * 1_000_000})),
        Noise("many digits", one, "/v1/models/words/predict", _json({"text": "1 " * 4_900})),
        Noise("deep nesting", one, "/v1/models/iris/predict", b"[" * 500_000 + b"]" * 500_000),
        Noise("many numbers", one, "/v1/models/iris/predict", b"[" + b"1," * 500_000 + b"1]"),
        Noise("broken JSON", one, "/v1/models/iris/predict", b'{"a":' * 100_000),
        Noise("one row of the default model", "POST /predict", "/predict", _json(IRIS)),
        Noise("a thousand rows of the default model", "POST /batch_predict", "/batch_predict", _json([IRIS] * 1000)),
        Noise("models", "GET /v1/models", "/v1/models"),
        Noise("a description of many features", "GET /v1/models/{model}", "/v1/models/wide"),
        Noise("who am I", "GET /v1/me", "/v1/me"),
        Noise("what is left", "GET /v1/usage", "/v1/usage"),
        Noise("a search", "GET /audit/predictions", "/audit/predictions?limit=1000"),
        Noise("a search that finds nothing", "GET /audit/predictions", "/audit/predictions?outcome=failed"),
        Noise("a record", "GET /audit/predictions/{request_id}", "/audit/predictions/01a20624-3a2b-784b-a260-86ef9931b09c"),
        Noise("a token", "POST /auth/token", "/auth/token", f"grant_type=client_credentials&{client}{key}".encode(), FORM, is_known=False),
        Noise("a wrong secret", "POST /auth/token", "/auth/token", f"grant_type=client_credentials&{client}x".encode(), FORM, is_known=False),
        Noise("a failing sign-in", "POST /auth/token", "/auth/token", b"grant_type=password&username=a%40b.c&password=wrong", FORM, is_known=False),
        Noise("an unused token", "POST /auth/revoke", "/auth/revoke", b"token=a.b.c", FORM, is_known=False),
        Noise("a password", "POST /auth/password", "/auth/password", b'{"current_password":"a","new_password":"b"}'),
        Noise("signing keys", "GET /.well-known/jwks.json", "/.well-known/jwks.json", is_known=False),
        Noise("health", "GET /health", "/health", is_known=False),
        Noise("readiness", "GET /health/ready", "/health/ready", is_known=False),
        Noise("the document", "GET /openapi.json", "/openapi.json"),
        Noise("the document for strangers", "GET /openapi.json", "/openapi.json", is_known=False),
        Noise("an unknown key", "GET /v1/me", "/v1/me", headers={"X-API-Key": "ady_" + "0" * 50}, is_known=False),
        Noise("an unknown path", "GET /nothing", "/nothing", is_known=False),
    ]  # fmt: skip


def operations(document) -> set[str]:
    """Returns every operation of an OpenAPI document that a key may ask for; to a key, `/admin` is always 401."""
    return {
        f"{method.upper()} {path}"
        for path, item in document["paths"].items()
        for method in item
        if method in {"get", "post", "put", "patch", "delete"} and not path.startswith("/admin")
    }
