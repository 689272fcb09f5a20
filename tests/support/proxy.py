"""A reverse proxy that strips a prefix, as nginx's `proxy_pass http://.../` does, and answers 404 elsewhere."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx

_OWN = {"connection", "keep-alive", "transfer-encoding", "content-encoding", "content-length"}


@contextmanager
def stripping_proxy(prefix: str, target: str) -> Iterator[str]:
    """Yields the proxy's address; `/prefix/x` there is `/x` at the target, and every other path is 404."""
    with httpx.Client(base_url=target, timeout=60) as client:

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._hand_on(b"")

            def do_POST(self) -> None:
                self._hand_on(self.rfile.read(int(self.headers["Content-Length"])))

            def log_message(self, *_arguments: object) -> None:
                """Logs nothing."""

            def _hand_on(self, body: bytes) -> None:
                if not self.path.startswith(f"{prefix}/"):
                    self.send_error(404)
                    return
                headers = {name: value for name, value in self.headers.items() if name.lower() not in _OWN}
                answer = client.request(self.command, self.path.removeprefix(prefix), content=body, headers=headers)
                self.send_response(answer.status_code)
                for name, value in answer.headers.items():
                    if name.lower() not in _OWN:
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer.content)))
                self.end_headers()
                self.wfile.write(answer.content)

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as proxy:
            thread = threading.Thread(target=proxy.serve_forever)
            thread.start()
            try:
                yield f"http://127.0.0.1:{proxy.server_port}"
            finally:
                proxy.shutdown()
                thread.join()
