"""A plain HTTP client for what happens before and after a run."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from locustfiles.agreement import Human

TRIES, PAUSE_SECONDS = 20, 0.5


class NotAnswered(Exception):
    """The server refused what the run needs."""


class Client:
    """Asks again where the service says that it cannot answer yet."""

    def __init__(self, url: str, headers: dict[str, str]) -> None:
        self._url, self._headers = url, headers

    @classmethod
    def signed_in(cls, url: str, human: Human) -> Self:
        form = {"grant_type": "password", "username": human.email, "password": human.password}
        request = urllib.request.Request(f"{url}/auth/token", urllib.parse.urlencode(form).encode())
        return cls(url, {"Authorization": f"Bearer {_read(request)['access_token']}"})

    def json(self, method: str, path: str, body: Any = None) -> Any:
        """The answer's body. Raises `NotAnswered`."""
        data = None if body is None else json.dumps(body).encode()
        headers = self._headers | ({} if data is None else {"Content-Type": "application/json"})
        return _read(urllib.request.Request(self._url + path, data, headers, method=method))


def _read(request: urllib.request.Request) -> Any:
    for _ in range(TRIES):
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                content = answer.read()
        except urllib.error.HTTPError as error:
            with error:
                words = error.read().decode()
            if error.code not in {429, 503}:
                break
            time.sleep(PAUSE_SECONDS)
        else:
            return json.loads(content) if content else None
    raise NotAnswered(f"{request.method} {request.full_url}: {words}")
