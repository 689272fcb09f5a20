"""What must never be written down is looked for where things are written down."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression
from sqlalchemy import inspect, text

from auth import api_keys
from db.reach import EVERY_TENANT
from db.tables import Base
from tests.support.people import PASSWORD, person
from tests.support.server import run_cli
from tests.support.site import IRIS, SECRET

DROPPED, MASKED, FINGERPRINTED = 733311.25, 733322.25, 733333.25


@pytest.fixture
def sensitive(site):
    """A model three of whose four features may not be stored as they are."""
    sample = np.array([[1.0, 733000.5, 1.0, 1.0], [2.0, 733900.5, 2.0, 2.0], [3.0, 733500.5, 1.0, 5.0]])
    schema = {"properties": {"income": {"pii": "drop"}, "iban": {"pii": "mask"}, "age": {"pii": "fingerprint"}}}
    features = ["income", "iban", "age", "height"]
    site.model("sensitive", LinearRegression().fit(sample, [1.0, 2.0, 3.0]), sample, features, schema=schema)
    return site


def test_secrets_keys_and_dropped_features_are_nowhere(sensitive, serve):
    """Not in the database's files, the log output, any error body, the OpenAPI document or the records."""
    site, server = sensitive, serve(sensitive)
    key, revoked, unknown = site.key(), site.issue(), api_keys.mint()
    site.revoke(revoked.key.id)
    row = {"income": DROPPED, "iban": MASKED, "age": FINGERPRINTED, "height": 1.83}
    texts = []
    with server.client() as client:
        for presented in (key, revoked.raw_key, unknown, key[:-2]):
            for headers in ({"X-API-Key": presented}, {"Authorization": f"Bearer {presented}"}):
                for body in (row, {**row, "height": "733311.25"}, {**row, presented: 1}, [row]):
                    answer = client.post("/v1/models/sensitive/predict", json=body, headers=headers)
                    texts.append(answer.text + str(answer.headers))
                texts.append(client.get(f"/{presented}", headers=headers).text)
                texts.append(client.get(f"/v1/me?key={presented}", headers=headers).text)
        texts.append(
            client.post("/v1/models/sensitive/predict/batch", json={"rows": [row] * 3}, headers={"X-API-Key": key}).text
        )
        texts.append(client.get("/openapi.json").text)
        texts.append(client.get("/v1/models/sensitive", headers={"X-API-Key": key}).text)
        records = client.get("/audit/predictions?outcome=answered", headers={"X-API-Key": key}).json()["records"]
    server.terminate()
    listed = run_cli(site, "keys", "list", "--json").stdout
    written = b"".join(path.read_bytes() for path in site.directory.glob("*") if path.is_file())
    everything = written + "".join([*texts, listed]).encode()
    for canary in (key, revoked.raw_key, unknown, key[16:48], SECRET, str(DROPPED), str(MASKED), str(FINGERPRINTED)):
        assert canary.encode() not in everything, canary
    assert b"733000.5" not in "".join(texts).encode(), "the range of a sensitive feature is somebody's value"
    assert len(records) == 3
    stored = records[-1]["inputs"][0]
    assert set(stored) == {"iban", "age", "height"}
    assert stored["iban"] == "***"
    assert len(stored["age"]) == 64
    assert stored["height"] == 1.83


def every_row(site) -> dict[str, list[str]]:
    """What each table holds, also those that are not declared: as the owner, who may read them."""
    with site.owner.reading(EVERY_TENANT) as session:
        tables = inspect(session.connection()).get_table_names()
        assert {table.name for table in Base.metadata.sorted_tables} <= set(tables)
        return {table: [str(row) for row in session.execute(text(f'SELECT * FROM "{table}"'))] for table in tables}


def test_what_admins_and_people_are_given_is_nowhere_either(any_site, serve):
    """Keys, rotated keys, passwords and tokens: shown once to whom they are for, and found nowhere after all this."""
    site, server = any_site, serve(any_site)
    email, canaries, texts = person(site), [PASSWORD], []
    with server.client() as client:

        def ask(method, path, *, shows=(), **more):
            answer = client.request(method, path, **more)
            body = answer.json() if answer.content else {}
            canaries.extend(body.pop(name) for name in shows)
            texts.append(json.dumps(body) + str(answer.headers))
            return body

        def sign_in(name, password):
            form = {"grant_type": "password", "username": name, "password": password}
            ask("POST", "/auth/token", data=form, shows=["access_token"])
            return {"Authorization": f"Bearer {canaries[-1]}"}

        admin = {"headers": sign_in(email, PASSWORD)}
        key_id = ask("POST", "/admin/tenants/acme/keys", json={"label": "x"}, shows=["key"], **admin)["id"]
        raw_key = canaries[-1]
        form = {"grant_type": "client_credentials", "client_id": key_id, "client_secret": raw_key}
        ask("POST", "/auth/token", data=form, shows=["access_token"])
        token = canaries[-1]
        ask("POST", f"/admin/keys/{key_id}/rotate", json={}, shows=["key"], **admin)
        made = ask(
            "POST", "/admin/users", json={"email": "made@example.com", "role": "auditor"}, shows=["password"], **admin
        )
        generated = canaries[-1]
        theirs = sign_in("made@example.com", generated)
        for chosen in ("short canary", "another four plain words 2"):
            canaries.append(chosen)
            ask("POST", "/auth/password", json={"current_password": generated, "new_password": chosen}, headers=theirs)
        sign_in("made@example.com", chosen)
        ask("POST", f"/admin/users/{made['id']}/reset", json={}, shows=["password"], **admin)
        for path in (
            "/auth/token",
            "/auth/revoke",
            "/predict",
            "/nowhere",
            f"/admin/keys/{raw_key}",
            f"/admin/users/{token}",
        ):
            for presented in (raw_key, token, PASSWORD):
                for headers in ({"X-API-Key": presented}, {"Authorization": f"Bearer {presented}"}, admin["headers"]):
                    ask("POST", path, json={"password": presented, presented: 1}, headers=headers)
                    ask(
                        "POST",
                        path,
                        data={"token": presented, presented: "1", "grant_type": presented},
                        headers=headers,
                    )
                    ask("GET", path, headers=headers)
        for name in (PASSWORD, email):
            ask("POST", "/auth/token", data={"grant_type": "password", "username": name, "password": "x" * 20})
        ask("POST", "/auth/revoke", data={"token": token})
        for path in (
            "/admin/events?limit=1000",
            "/admin/users",
            "/admin/tenants/acme/keys",
            "/openapi.json",
            "/.well-known/jwks.json",
        ):
            ask("GET", path, **admin)
    server.terminate()
    written = b"".join(path.read_bytes() for path in site.directory.glob("*") if path.is_file())
    stored = every_row(site)
    assert stored["sign_in_failures"], "that somebody failed is remembered somehow"
    assert stored["revoked_tokens"]
    everything = written + "".join([*texts, str(stored)]).encode()
    assert b"key.rotate" in everything
    assert len(set(canaries)) > 8
    for canary in {*canaries, raw_key[16:48], token.rpartition(".")[2]}:
        assert canary.encode() not in everything, canary


def test_a_crash_of_ours_shows_nobody_anything(site, serve):
    """An error that nobody expected is a 500 problem without words, and a log line without values."""
    (site.directory / "sitecustomize.py").write_text(
        "import serving.scribes\ndef boom(*_): raise RuntimeError('canary-4711')\nserving.scribes.row_fingerprint = boom\n"
    )
    server = serve(site, is_forked=False, PYTHONPATH=f"{site.directory}:{site.environment()['PYTHONPATH']}")
    answer = server.http.post("/predict", json=IRIS, headers={"X-API-Key": site.key()})
    assert answer.status_code == 500
    assert answer.json()["type"] == "/problems/internal"
    assert "canary" not in answer.text
    log = server.log.read_text()
    assert "RuntimeError" in log
    assert answer.json()["request_id"] in log
    assert "canary" not in log
