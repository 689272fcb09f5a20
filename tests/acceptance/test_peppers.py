"""A new pepper: nobody notices, and each key moves to it when it is next seen."""

from __future__ import annotations

import pytest

from admin.peppers import list_peppers, rotate_pepper
from auth.keyring import Keyring
from tests.support.contents import follow
from tests.support.server import cli_json
from tests.support.site import ACTOR, SECRET

pytestmark = pytest.mark.anyio


async def test_keys_outlive_their_pepper(any_site):
    """Old keys, new keys and tokens work while the program runs, and digests move as their keys are used."""
    site = any_site
    old, idle = site.issue(), site.issue()
    async with site.client() as client:
        form = {"grant_type": "client_credentials", "client_id": old.key.id, "client_secret": old.raw_key}
        token = (await client.post("/auth/token", data=form)).json()["access_token"]
        elsewhere = Keyring(site.database, SECRET.encode())
        assert rotate_pepper(site.database, elsewhere, actor=ACTOR) == 2
        site.keyring.reload()
        new = site.issue()
        await follow()
        # Forgotten, as it would be after a restart.
        client.app.state.parts.directory._remembered.clear()
        client.app.state.parts.directory._handles.clear()
        for headers in ({"X-API-Key": old.raw_key}, {"X-API-Key": new.raw_key}, {"Authorization": f"Bearer {token}"}):
            for _ in range(2):
                assert (await client.get("/v1/me", headers=headers)).status_code == 200
        assert [(each["number"], each["secrets"]) for each in list_peppers(site.database, elsewhere)] == [
            (1, 1),
            (2, 2),
        ]
        assert (await client.get("/v1/me", headers={"X-API-Key": idle.raw_key})).status_code == 200
        assert [each["secrets"] for each in list_peppers(site.database, elsewhere)] == [0, 2 + 1]


def test_the_operator_rotates_it_on_the_command_line(site):
    """And sees what is still under the old one."""
    site.issue()
    assert cli_json(site, "peppers", "rotate") == {"number": 2}
    assert [(each["number"], each["secrets"]) for each in cli_json(site, "peppers", "list")] == [(1, 1), (2, 0)]
