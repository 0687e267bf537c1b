"""A node that says what a test wants, and remembers everything it was told."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Reply = tuple[int, bytes]
Handler = Callable[[bytes], Reply]


def as_json(value: Any, status: int = 200) -> Reply:
    return status, json.dumps(value).encode()


def refusal(status: int, name: str) -> Reply:
    return as_json({"Code": status, "Message": "no", "ErrTypeName": name}, status)


class FakeNode:
    """`answers` maps paths to functions of the request's body."""

    def __init__(self, answers: dict[str, Handler]) -> None:
        self.answers = answers
        self.told = b""
        self.paths: list[str] = []
        self.authorizations: list[str | None] = []
        self.bodies: dict[str, bytes] = {}
        self.url = ""

    def answer(self, path: str, head: bytes, body: bytes, authorization: str | None) -> Reply:
        self.told += path.encode() + head + body
        self.paths.append(path)
        self.authorizations.append(authorization)
        self.bodies[path] = body
        known = [handler for prefix, handler in self.answers.items() if path.startswith(prefix)]
        return known[0](body) if known else refusal(404, "")


@contextmanager
def fake_node(answers: dict[str, Handler]) -> Iterator[FakeNode]:
    node = FakeNode(answers)

    class Requests(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, answer = node.answer(self.path, str(self.headers).encode(), body, self.headers.get("Authorization"))
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_POST = do_GET

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Requests)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    node.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield node
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
