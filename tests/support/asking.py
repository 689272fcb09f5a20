"""Asking a model over HTTP, in this process."""

from __future__ import annotations

import asyncio


async def answers(site, name, rows):
    """Returns the predictions of a model with one version for the rows, and the version's details."""
    async with site.client(site.key()) as client:
        answer = await client.post(f"/v1/models/{name}/predict/batch", json={"rows": rows})
        assert answer.status_code == 200, answer.text
        (details,) = (await client.get(f"/v1/models/{name}")).json()["version_details"]
        return answer.json()["predictions"], details


async def settled(client, path, **more):
    """Returns the answer to a GET; asks again while a busy machine keeps the service from answering in time."""
    for _ in range(50):
        answer = await client.get(path, **more)
        if answer.status_code != 503:
            break
        await asyncio.sleep(0.2)
    return answer
