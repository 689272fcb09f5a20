"""Behind a proxy, what is recorded, counted and allowed by address is the caller's."""

from __future__ import annotations

import pytest

from tests.support.site import IRIS

pytestmark = pytest.mark.anyio

#: Where the clients of these tests are: they stand for a proxy.
PROXIES = ["127.0.0.0/8"]


@pytest.mark.parametrize(
    ("kind", "headers"),
    [
        ("x-forwarded-for", [("X-Forwarded-For", "198.51.100.1, 203.0.113.9"), ("Forwarded", "for=198.51.100.2")]),
        (
            "forwarded",
            [("X-Forwarded-For", "198.51.100.2"), ("Forwarded", 'for="x'), ("Forwarded", 'for="203.0.113.9:1"')],
        ),
    ],
)
async def test_the_caller_is_the_one_whom_the_proxy_names(site, tmp_path, kind, headers):
    """In the log, and for a key that may be used from there alone; the other header is ignored."""
    site = site.copy_to(tmp_path / "proxied", trusted_proxies=PROXIES, forwarded_header=kind)
    key, elsewhere = site.key(cidrs=["203.0.113.0/24"]), site.key(cidrs=["198.51.100.0/24", "127.0.0.0/8"])
    async with site.client() as client:
        answer = await client.post("/predict", json=IRIS, headers=[*headers, ("X-API-Key", key)])
        assert answer.status_code == 200
        refused = await client.post("/predict", json=IRIS, headers=[*headers, ("X-API-Key", elsewhere)])
        assert refused.status_code == 401
        found = await client.get(
            f"/audit/predictions/{answer.json()['request_id']}", headers=[*headers, ("X-API-Key", key)]
        )
    assert found.json()["address"] == "203.0.113.0/24"
    site.close()


async def test_a_hidden_caller_is_at_no_address(site, tmp_path):
    """Not even at the proxy's, which a key may name."""
    site = site.copy_to(tmp_path / "proxied", trusted_proxies=PROXIES)
    key, anywhere = site.key(cidrs=["0.0.0.0/0", "::/0"]), site.key()
    hidden = [("X-Forwarded-For", "198.51.100.1, unknown")]
    async with site.client() as client:
        assert (await client.post("/predict", json=IRIS, headers=[*hidden, ("X-API-Key", key)])).status_code == 401
        assert (await client.post("/predict", json=IRIS, headers=[*hidden, ("X-API-Key", anywhere)])).status_code == 200
    site.close()


async def test_nobody_is_believed_unless_a_proxy_is_trusted(site):
    """By default, no header names anybody."""
    key = site.key(cidrs=["203.0.113.0/24"])
    async with site.client() as client:
        headers = [("X-Forwarded-For", "203.0.113.9"), ("Forwarded", "for=203.0.113.9"), ("X-API-Key", key)]
        assert (await client.post("/predict", json=IRIS, headers=headers)).status_code == 401
