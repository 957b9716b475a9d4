"""Requests over HTTP, over TCP or a Unix socket, and the problems that they are answered with."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit


class BelayError(Exception):
    """A problem (RFC 9457) that a request was answered with, or that kept it from being answered."""

    def __init__(self, status: int, code: str, title: str, detail: str = "", *, retryable: bool = False,
                 errors: list[dict[str, Any]] | None = None, problem: Mapping[str, Any] | None = None) -> None:
        super().__init__(f"{title}: {detail}" if detail else title)
        self.status = status  # of the answer; 0 = there was none
        self.code = code  # a word for programs; "unreachable" = there was no answer
        self.title = title
        self.detail = detail
        self.retryable = retryable  # whether to send the same request again
        self.errors = errors or []  # every mistake of a document, with line, column, path, message and hint
        self.problem = dict(problem or {})  # the whole answer
        self.retry_after: float | None = None  # seconds; None = not said


class Answer:
    """A complete answer with a 2xx status."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body

    def json(self) -> Any:
        return json.loads(self.body)


class _Unix(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Endpoint:
    """Where requests go: http://HOST:PORT, https://HOST or unix:PATH."""

    def __init__(self, url: str, token: str | None) -> None:
        self._url, self._token, self._base = url, token, ""
        if not url.startswith("unix:"):
            parts = urlsplit(url)
            if parts.scheme not in ("http", "https") or not parts.hostname:
                raise ValueError(f"{url!r} is not a URL such as http://127.0.0.1:8222 or unix:/run/belay/work.sock")
            self._base = parts.path.rstrip("/")

    def connection(self, timeout: float) -> http.client.HTTPConnection:
        if self._url.startswith("unix:"):
            return _Unix(self._url.removeprefix("unix:"), timeout)
        parts = urlsplit(self._url)
        if parts.scheme == "https":
            return http.client.HTTPSConnection(parts.hostname or "", parts.port, timeout=timeout, context=ssl.create_default_context())
        return http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout)

    def request(self, method: str, path: str, body: Any = None, *, timeout: float, headers: Mapping[str, str] | None = None,
                connected: Callable[[socket.socket], None] | None = None) -> Answer:
        """Sends one request on a connection of its own. Raises BelayError for everything but a 2xx answer."""
        with self._answered(method, path, body, timeout, {"Accept": "application/json", **(headers or {})}, connected) as answer:
            if answer.length is None and not answer.chunked:
                raise ConnectionError("the answer broke off")  # in its head, which http.client takes for a short one
            text = answer.read()
        if 200 <= answer.status < 300:
            return Answer(answer.status, answer.headers, text)
        raise _problem(answer.status, answer.headers, text)

    def events(self, path: str, *, timeout: float, headers: Mapping[str, str]) -> Iterator[tuple[str, str]]:
        """Kind and data of server-sent events, as they come. timeout is for one sign of life. Raises BelayError when the
        connection breaks; an event that had not come whole is not given."""
        with self._answered("GET", path, None, timeout, {"Accept": "text/event-stream", **headers}, None) as answer:
            if answer.status != 200:
                raise _problem(answer.status, answer.headers, answer.read())
            event: dict[str, str] = {}
            while line := answer.readline():
                name, _, value = line.decode().rstrip("\r\n").partition(": ")
                if line.strip():
                    event[name] = value  # an entry is one line of data
                elif "data" in event:
                    yield event.get("event", "message"), event["data"]
                if not line.strip():
                    event = {}
            raise ConnectionError("the stream broke off")

    @contextmanager
    def _answered(self, method: str, path: str, body: Any, timeout: float, headers: dict[str, str],
                  connected: Callable[[socket.socket], None] | None) -> Iterator[http.client.HTTPResponse]:
        """The answer to one request, whose connection is closed after it; one that breaks is a BelayError."""
        if self._token:
            headers["Authorization"] = "Bearer " + self._token
        data = None
        if body is not None:
            data = json.dumps(body, allow_nan=False).encode()
            headers["Content-Type"] = "application/json"
        connection = self.connection(timeout)
        try:
            connection.connect()
            if connected:
                connected(connection.sock)
            connection.request(method, self._base + path, data, headers)
            yield connection.getresponse()
        except (OSError, http.client.HTTPException) as e:
            raise BelayError(0, "unreachable", f"{self._url} does not answer", str(e) or type(e).__name__, retryable=True) from e
        finally:
            connection.close()


class Patience:
    """How long what fails is tried again, and the pauses between."""

    _LONGEST = 5.0  # seconds of a pause

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.worked()

    def worked(self) -> None:
        """Begins anew: there is an answer."""
        self._since: float | None = None
        self._pause = 0.1

    def failed(self, e: BelayError) -> None:
        """Pauses before the next try, or raises e if there is none."""
        now = time.monotonic()
        self._since = now if self._since is None else self._since
        left = self._since + self._seconds - now
        if not e.retryable or left <= 0:
            raise e
        time.sleep(min(e.retry_after or self._pause, self._LONGEST, left))
        self._pause = min(2 * self._pause, self._LONGEST)


def _problem(status: int, headers: Mapping[str, str], body: bytes) -> BelayError:
    try:
        p = json.loads(body)
    except ValueError:
        p = None
    if not isinstance(p, dict):
        p = {"title": f"The answer is {status} without a problem", "detail": body[:200].decode(errors="replace"), "retryable": status in (429, 502, 503, 504)}
    e = BelayError(status, str(p.get("code", "")), str(p.get("title", status)), str(p.get("detail", "")),
                   retryable=bool(p.get("retryable")), errors=p.get("errors"), problem=p)
    after = headers.get("Retry-After", "")
    e.retry_after = float(after) if after.isdigit() else None
    return e
