"""A worker: functions that execute the remote rungs of tools. docs/protocol.md says what is sent."""

from __future__ import annotations

import datetime
import inspect
import json
import logging
import os
import pathlib
import select
import signal
import socket
import threading
import traceback
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from ._http import BelayError, Endpoint

logger = logging.getLogger("belay.worker")

_POLL = 30.0  # seconds that one poll waits for a call
_SLACK = 15.0  # seconds that an answer may take on top
_LONGEST_PAUSE = 5.0  # seconds between two requests of which the first failed
_KEPT_SECONDS = 540.0  # for which an outcome that cannot be sent is sent again; the worker knows it for ten minutes


class Failure(Exception):
    """The call did not work. Its subclasses are what a function usually raises."""

    failure_class = "tool_error"
    acted = "maybe"  # "no" only if certainly nothing happened in the world

    def __init__(self, message: str, *, failure_class: str | None = None, acted: str | None = None,
                 retry_after: float | None = None, detail: str = "", need_human: bool = False) -> None:
        super().__init__(message)
        self.failure_class = failure_class or type(self).failure_class
        self.acted = acted or type(self).acted
        self.retry_after = retry_after  # seconds
        self.detail = detail  # evidence for people
        self.need_human = need_human


class Permanent(Failure):
    """Trying it again would not help; the next rung is tried."""


class Retry(Failure):
    """It may work next time. Of a tool with unsafe effects it is an unknown outcome; see NothingHappened."""

    failure_class = "unavailable"


class NothingHappened(Retry):
    """It failed, and certainly nothing happened in the world: it is tried again whatever the effects of the tool."""

    acted = "no"


class RetryAfter(NothingHappened):
    """The other side asks to wait, and has done nothing. It does not count as a failed try."""

    failure_class = "rate_limited"

    def __init__(self, seconds: float, message: str = "the other side asks to wait", **more: Any) -> None:
        super().__init__(message, retry_after=seconds, **more)


class NeedHuman(Failure):
    """A person is asked at once, whatever rungs are left."""

    failure_class = "needs_human"

    def __init__(self, message: str, **more: Any) -> None:
        super().__init__(message, need_human=True, **more)


class Stopped(Retry):
    """The call is not wanted any more; Call.check raises it."""


class Call:
    """One attempt of a step."""

    def __init__(self, answer: dict[str, Any]) -> None:
        self.run: str = answer["run"]
        self.step: str = answer["step"]
        self.attempt: str = answer["attempt"]
        self.tool: str = answer["tool"]
        self.rung: str = answer["rung"]
        self.params: dict[str, Any] = answer["params"]
        self.key: str = answer["key"]  # the idempotency key: pass it on to whatever acts
        self.grant: dict[str, str] = answer.get("grant", {})  # headers that show people's approval: send them to whatever acts
        self.number: int = answer["try"]  # counts from 1 on this rung
        self.timeout: float | None = answer["timeout"]  # seconds from the beginning; None = no limit
        self.deadline: datetime.datetime | None = _time(answer["deadline"])
        self._lease: str = answer["lease"]
        self._beat_every: float = answer["beat_every"]
        self._progress = ""
        self._stop = threading.Event()
        self._reason = ""
        self._over = threading.Event()

    def progress(self, text: str) -> None:
        """Says how far it is; people read it. It goes with the next beat."""
        self._progress = text

    @property
    def stopped(self) -> bool:
        """Whether the call is not wanted any more: finish, or fail, soon."""
        return self._stop.is_set()

    def check(self, acted: str = "maybe") -> None:
        """Raises Stopped if the call is not wanted any more. acted="no": certainly nothing has happened in the world yet."""
        if self.stopped:
            raise Stopped(self._reason or "stopped", acted=acted)

    def pause(self, seconds: float) -> bool:
        """Waits, shorter if the call is not wanted any more; whether it still is."""
        return not self._stop.wait(seconds)


Function = TypeVar("Function", bound=Callable[..., Any])
_tools: dict[str, Callable[..., Any]] = {}


def tool(name: str) -> Callable[[Function], Function]:
    """Makes a function(params) or function(params, call) execute a tool, or one rung of it (TOOL/RUNG). What it returns is
    the output."""

    def register(f: Function) -> Function:
        if name in _tools:
            raise ValueError(f"{name} has a function already: {_tools[name].__qualname__}")
        _tools[name] = f
        return f

    return register


def work(url: str | None = None, token: str | None = None, *, tools: Iterable[str] | None = None, concurrency: int = 1, name: str | None = None) -> None:
    """Executes calls until SIGTERM or SIGINT, then finishes what it has begun and returns.

    url is what the worker's --work-listen says: http://127.0.0.1:7480 (the default; BELAY_WORK_URL) or unix:/PATH. token
    is in BELAY_WORK_TOKEN or in the file that the worker makes. tools are those of the registered ones to execute, all by
    default, and concurrency is how many calls at once. Raises BelayError for errors that waiting cannot fix: a wrong
    token, a tool that the worker does not have.
    """
    chosen = list(_tools if tools is None else tools)
    if not chosen:
        raise ValueError("no function has been registered; decorate one with @tool(NAME)")
    if missing := [t for t in chosen if t not in _tools]:
        raise ValueError(f"no function has been registered for {', '.join(missing)}")
    url = url or os.environ.get("BELAY_WORK_URL") or "http://127.0.0.1:7480"
    secret = None if url.startswith("unix:") else token or os.environ.get("BELAY_WORK_TOKEN") or _stored_token()
    _Worker(Endpoint(url, secret), chosen, name or f"python-{os.getpid()}").run(concurrency)


def _stored_token() -> str | None:
    state = pathlib.Path(os.environ.get("XDG_STATE_HOME") or pathlib.Path.home() / ".local/state")
    try:
        return (state / "belay/work-token").read_text().strip()
    except OSError:
        return None


def _time(text: str | None) -> datetime.datetime | None:
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")) if text else None


class _Worker:
    def __init__(self, endpoint: Endpoint, tools: list[str], name: str) -> None:
        self._endpoint, self._tools, self._name = endpoint, tools, name
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._polls: set[socket.socket] = set()  # connections of polls that wait
        self._failed: BaseException | None = None
        self._wake, self._woken = socket.socketpair()  # wakes run; a signal handler may write to it

    def run(self, concurrency: int) -> None:
        threads = [threading.Thread(target=self._slot, name=f"belay-{i}") for i in range(concurrency)]
        previous = {}
        if threading.current_thread() is threading.main_thread():
            for s in (signal.SIGTERM, signal.SIGINT):
                previous[s] = signal.signal(s, lambda *_: self._wake.send(b"s"))
        try:
            for t in threads:
                t.start()
            select.select([self._woken], [], [])
        finally:
            self._stop()
            for t in threads:
                t.join()
            for s, handler in previous.items():
                signal.signal(s, handler)
            self._wake.close()
            self._woken.close()
        if self._failed:
            raise self._failed

    def _stop(self) -> None:
        """Ends the polls from this side only: a call that is already on its way still arrives, and is executed."""
        with self._lock:
            self._stopping.set()
            for s in self._polls:
                _half_close(s)

    def _slot(self) -> None:
        pause = 0.1
        try:
            while not self._stopping.is_set():
                try:
                    call = self._poll()
                    pause = 0.1
                except BelayError as e:
                    if self._stopping.is_set():
                        return
                    if not e.retryable:
                        raise
                    if pause == 0.1:  # once for each time that it is gone
                        logger.warning("no work: %s", e)
                    self._stopping.wait(pause)
                    pause = min(2 * pause, _LONGEST_PAUSE)
                    continue
                if call:
                    self._execute(call)
        except BaseException as e:  # run raises it
            self._failed = self._failed or e
            self._wake.send(b"f")

    def _poll(self) -> Call | None:
        mine: list[socket.socket] = []

        def connected(s: socket.socket) -> None:
            mine.append(s)
            with self._lock:
                self._polls.add(s)
                if self._stopping.is_set():
                    raise OSError("stopping")

        try:
            answer = self._endpoint.request("POST", "/work/poll", {"tools": self._tools, "worker": self._name, "wait": _POLL},
                                            timeout=_POLL + _SLACK, connected=connected)
        finally:
            with self._lock:
                self._polls.difference_update(mine)
        return Call(answer.json()) if answer.status == 200 and answer.body else None

    def _execute(self, call: Call) -> None:
        beats = threading.Thread(target=self._beat, args=(call,), daemon=True)
        beats.start()
        try:
            how, body = _outcome(call)
            self._say(call, how, body)  # with beats: it may take a while
        finally:
            call._over.set()
            beats.join()

    def _beat(self, call: Call) -> None:
        said = None
        while not call._over.wait(call._beat_every):
            progress = call._progress
            body = {} if progress == said else {"progress": progress}
            try:
                answer = self._endpoint.request("POST", f"/work/{call._lease}/beat", body, timeout=call._beat_every + 1).json()
                said = progress
            except BelayError as e:
                if e.retryable:
                    continue
                answer = {"stop": True, "reason": str(e)}
                if e.code != "lease_ended":
                    logger.warning("%s/%s: a beat was refused: %s", call.run, call.step, e)
            if answer["stop"] and not call._stop.is_set():
                call._reason = answer.get("reason", "")
                call._stop.set()

    def _say(self, call: Call, how: str, body: dict[str, Any]) -> None:
        """Reports how the call ended, again and again until the worker has it; repeating it does no harm."""
        waited, pause = 0.0, 0.1
        while True:
            try:
                self._endpoint.request("POST", f"/work/{call._lease}/{how}", body, timeout=_POLL)
                return
            except BelayError as e:
                if e.code == "invalid_request" and how == "fail" and body["class"] != "tool_error":
                    body = {**body, "class": "tool_error", "message": _cut(f"{body['message']} ({e.detail})")}  # no such class, or the like
                    body.pop("retry_after", None)
                    continue
                if not e.retryable or waited > _KEPT_SECONDS:
                    logger.warning("%s/%s: the worker did not take %r: %s", call.run, call.step, how, e)
                    return
            threading.Event().wait(pause)
            waited, pause = waited + pause, min(2 * pause, _LONGEST_PAUSE)


def _half_close(s: socket.socket) -> None:
    try:
        s.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # it is closed already


def _outcome(call: Call) -> tuple[str, dict[str, Any]]:
    """Executes the function of a call; what to say of it."""
    f = _tools.get(f"{call.tool}/{call.rung}") or _tools[call.tool]
    try:
        output = f(call.params, call) if _takes_call(f) else f(call.params)
    except Failure as e:
        body: dict[str, Any] = {"class": e.failure_class, "message": str(e), "acted": e.acted}
        if e.retry_after is not None:
            body["retry_after"] = e.retry_after
        if e.detail:
            body["detail"] = e.detail
        if e.need_human:
            body["need_human"] = True
        return "fail", _fitting(body)
    except Exception as e:
        logger.exception("%s of %s/%s failed", call.tool, call.run, call.step)
        return "fail", _fitting({"class": "tool_error", "message": f"{type(e).__name__}: {e}", "detail": traceback.format_exc()[-4000:]})
    try:
        json.dumps(output, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as e:
        return "fail", {"class": "invalid_output", "message": f"the function returned what is not JSON: {e}"}
    return "succeed", {"output": output}


def _fitting(body: dict[str, Any]) -> dict[str, Any]:
    """Makes it fit into a request; the worker keeps less of it."""
    body["message"] = _cut(body["message"]) or "it failed, and said nothing"
    if "detail" in body:
        body["detail"] = body["detail"][:4000]
    return body


def _cut(message: str) -> str:
    return message[:2000]


def _takes_call(f: Callable[..., Any]) -> bool:
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = inspect.signature(f).parameters.values()
    return sum(p.kind in positional for p in parameters) > 1 or any(p.kind == inspect.Parameter.VAR_POSITIONAL for p in parameters)
