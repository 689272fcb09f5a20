"""A reverse proxy that now and then gives one caller the answer that another one got."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx

_OWN = {"connection", "keep-alive", "transfer-encoding", "content-length", "host"}
#: One of so many answers of a key is another key's.
EVERY = 3


@contextmanager
def swapping_proxy(target: str) -> Iterator[str]:
    """Yields the proxy's address."""
    last: dict[str, bytes] = {}
    counts: dict[str, int] = {}
    lock = threading.Lock()

    def body_for(key: str, body: bytes) -> bytes:
        with lock:
            others = [each for other, each in last.items() if other != key]
            last[key] = body
            counts[key] = counts.get(key, 0) + 1
            return others[-1] if others and counts[key] % EVERY == 0 else body

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name: value for name, value in self.headers.items() if name.lower() not in _OWN}
            answer = client.post(self.path, content=content, headers=headers)
            body = answer.content
            if answer.status_code == 200:
                body = body_for(self.headers["X-API-Key"], body)
            self.send_response(answer.status_code)
            self.send_header("Content-Type", answer.headers["Content-Type"])
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            """Logs nothing."""

    with httpx.Client(base_url=target, timeout=60) as client, ThreadingHTTPServer(("127.0.0.1", 0), Handler) as proxy:
        proxy.daemon_threads = True
        thread = threading.Thread(target=proxy.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{proxy.server_port}"
        finally:
            proxy.shutdown()
            thread.join()
