"""Asking a model over HTTP, in this process."""

from __future__ import annotations


async def answers(site, name, rows):
    """What a model of one version predicts for the rows, and what is told of the version."""
    async with site.client(site.key()) as client:
        answer = await client.post(f"/v1/models/{name}/predict/batch", json={"rows": rows})
        assert answer.status_code == 200, answer.text
        (details,) = (await client.get(f"/v1/models/{name}")).json()["version_details"]
        return answer.json()["predictions"], details
