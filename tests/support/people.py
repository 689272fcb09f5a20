"""People who sign in, and clients that are signed in as them."""

from __future__ import annotations

from contextlib import asynccontextmanager

from admin.users import create_user
from tests.support.site import ACTOR

PASSWORD = "plain words for tests 1"


def person(site, role: str = "admin", tenant: str | None = None, **more) -> str:
    """Makes a person with the password `PASSWORD`, which need not be changed; returns the e-mail address."""
    email = f"{role}@{tenant or 'all'}.example.com"
    more.setdefault("must_change_password", False)
    create_user(site.database, actor=ACTOR, email=email, role=role, tenant=tenant, password=PASSWORD, **more)
    return email


async def sign_in(client, email: str, password: str = PASSWORD):
    """Returns the answer of `POST /auth/token`, without the credential that the client carries."""
    form = {"grant_type": "password", "username": email, "password": password}
    request = client.build_request("POST", "/auth/token", data=form)
    for name in ("Authorization", "X-API-Key"):
        request.headers.pop(name, None)
    return await client.send(request)


async def token_of(client, email: str, password: str = PASSWORD) -> dict[str, str]:
    """Signs a person in; returns the header with their token."""
    answer = await sign_in(client, email, password)
    assert answer.status_code == 200, answer.text
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


@asynccontextmanager
async def client_of(site, role: str = "admin", tenant: str | None = None):
    """Yields a client of the application that is signed in as a person with this role and tenant."""
    email = person(site, role, tenant)
    async with site.client() as client:
        client.headers.update(await token_of(client, email))
        yield client
