"""A connection to Redis with a deadline for each answer, and what a Redis must be like to count for us."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from redis.asyncio.connection import AbstractConnection, Connection, parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, NoPermissionError, NoScriptError, RedisError, ResponseError

from quotas.store import StoreUnfit

#: No answer may take longer. It is counted in turns of the event loop, each at most so long: a loop that stood still
#: itself has not waited for Redis.
DEADLINE_TICKS = 10
TICK_SECONDS = 0.02
OLDEST = (6, 2)
#: Each script, and the files that it is made of.
SCRIPTS = {"count": ("clock", "trailing", "calendar", "count"), "join": ("join",), "mark": ("mark",)}

Failed = (OSError, RedisError, TimeoutError, asyncio.IncompleteReadError)


class Address:
    """Where Redis is. It shows neither its password nor anything else of its URL."""

    def __init__(self, url: str) -> None:
        """Raises `ValueError`, in words of its own, unless it is a `redis://`, `rediss://` or `unix://` URL."""
        try:
            options: dict[str, Any] = dict(parse_url(url))
        except ValueError:
            raise ValueError(
                "Redis is at redis://[[user]:password@]host[:port][/database], rediss:// or unix://path"
            ) from None
        self._kind: type[AbstractConnection] = options.pop("connection_class", Connection)
        self._options = options

    def __repr__(self) -> str:
        return "Address(...)"

    def connection(self) -> AbstractConnection:
        """A connection that is not open yet."""
        return self._kind(**self._options, retry=Retry(NoBackoff(), 0), socket_timeout=None, protocol=2)


@cache
def script(name: str) -> bytes:
    folder = files("quotas.shared")
    return b"\n".join(folder.joinpath(f"{part}.lua").read_bytes() for part in SCRIPTS[name])


class Server:
    """One open connection. Whatever fails on it ends it."""

    def __init__(self, connection: AbstractConnection, run_id: str, shas: dict[str, str]) -> None:
        self._connection = connection
        self._shas = shas
        self._turn = asyncio.Lock()
        self.run_id = run_id

    @classmethod
    async def connect(cls, address: Address) -> Server:
        """Raises one of `Failed`, or `StoreUnfit`."""
        connection = address.connection()
        try:
            async with asyncio.timeout(DEADLINE_TICKS * TICK_SECONDS * 2):
                await connection.connect()  # type: ignore[no-untyped-call]  # redis-py has not typed it
                server = cls(connection, "", {})
                about = _read_info(await server.ask("INFO"))
                check_fit(about)
                server.run_id = about["run_id"]
                for name in SCRIPTS:
                    await server.load(name)
        except (AuthenticationError, NoPermissionError):
            await connection.disconnect(nowait=True)
            raise StoreUnfit(
                "Redis refuses the user or the password, or the user may not do what limits need"
            ) from None
        except ssl.SSLError:
            await connection.disconnect(nowait=True)
            raise StoreUnfit("Redis' certificate is not trusted, or it does not speak TLS") from None
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        return server

    async def load(self, name: str) -> None:
        self._shas[name] = (await self.ask("SCRIPT", "LOAD", script(name))).decode()

    async def ask(self, *command: Any) -> Any:
        """Returns the answer to one command. Raises one of `Failed`."""
        (answer,) = await self.ask_all([command])
        if isinstance(answer, RedisError):
            raise answer
        return answer

    async def ask_all(self, commands: Sequence[Sequence[Any]]) -> list[Any]:
        """Returns the answers to several commands, errors among them. Raises one of `Failed`."""
        connection = self._connection
        async with self._turn, _deadline():
            await connection.send_packed_command(connection.pack_commands(commands), check_health=False)
            return [await self._read() for _ in commands]

    async def run(self, name: str, *arguments: Any) -> Any:
        """Returns the answer of a script. Raises one of `Failed`."""
        try:
            return await self.ask("EVALSHA", self._shas[name], 0, *arguments)
        except NoScriptError:
            await self.load(name)
            return await self.ask("EVALSHA", self._shas[name], 0, *arguments)

    async def close(self) -> None:
        await self._connection.disconnect(nowait=True)

    async def _read(self) -> Any:
        try:
            return await self._connection.read_response(disconnect_on_error=False)
        except ResponseError as error:
            return error


class _deadline:  # noqa: N801  reads as a statement
    """Cancels what is inside it after `DEADLINE_TICKS` turns of the loop's clock, as a `TimeoutError`."""

    async def __aenter__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._ticks = DEADLINE_TICKS
        self._timeout = asyncio.timeout(None)
        await self._timeout.__aenter__()
        self._timer = self._loop.call_later(TICK_SECONDS, self._tick)

    async def __aexit__(self, *error: Any) -> None:  # noqa: PYI036  they are handed on
        self._timer.cancel()
        await self._timeout.__aexit__(*error)

    def _tick(self) -> None:
        self._ticks -= 1
        if self._ticks:
            self._timer = self._loop.call_later(TICK_SECONDS, self._tick)
        else:
            self._timeout.reschedule(self._loop.time())


async def check_server(address: Address) -> None:
    """Raises `StoreUnfit` if that Redis must not count limits. One that does not answer may be there later."""
    with contextlib.suppress(*Failed):
        await (await Server.connect(address)).close()


def _read_info(text: bytes | dict[str, Any]) -> dict[str, str]:
    if isinstance(text, dict):
        return {name: str(value) for name, value in text.items()}
    lines = (line.partition(":") for line in text.decode(errors="replace").splitlines() if not line.startswith("#"))
    return {name: value for name, _, value in lines}


def check_fit(about: dict[str, str]) -> None:
    """Raises `StoreUnfit` if that Redis could forget what was spent, or decide twice."""
    version = about.get("redis_version", "0")
    if tuple(int(part) for part in version.split(".")[:2] if part.isdigit()) < OLDEST:
        raise StoreUnfit(f"Redis {version} is too old: limits need {'.'.join(map(str, OLDEST))} or newer")
    policy = about.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        raise StoreUnfit(f"Redis' maxmemory-policy is {policy}: it would forget what was spent. Set it to noeviction")
    if about.get("cluster_enabled") == "1" or about.get("redis_mode") == "cluster":
        raise StoreUnfit("Redis is a cluster: one charge spends on keys of several nodes. Use a single primary")
    if about.get("role", "master") != "master":
        raise StoreUnfit("Redis is a replica: it cannot be written to. Name its primary")
