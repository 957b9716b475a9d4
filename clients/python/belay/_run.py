"""Runs: waiting for them, following them, ending them."""

from __future__ import annotations

import dataclasses
import json
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from ._http import BelayError, Patience

if TYPE_CHECKING:
    from ._agents import Agent, Spent
    from ._client import Belay

_WAIT = 30.0  # seconds that one request waits for a run
_PAUSE = 0.5  # seconds between two looks at a run that waits for people
_SILENCE = 45.0  # seconds without a sign of life after which a stream is broken; the server gives one every 15
_ENDED = frozenset({"succeeded", "degraded", "failed", "aborted", "cancelled", "migrated"})


@dataclasses.dataclass(frozen=True)
class Degraded:
    """A result that a fallback gave, or that stands on one."""

    step: str
    rung: str  # that answered; empty = its input was degraded
    cause: str  # in words


@dataclasses.dataclass(frozen=True)
class Event:
    """An entry of a run's log."""

    seq: int  # grows within a run
    time: str  # RFC 3339
    subject: str
    type: str  # submitted, started, succeeded, failed, decided, closed ...; empty: no program can read the entry
    data: dict[str, Any]  # the whole event; `dispatcher schema events` says what is in it


class Run:
    """A run, as it was when it was last read."""

    def __init__(self, belay: Belay, id: str, document: dict[str, Any] | None = None) -> None:
        self._belay = belay
        self.id = id
        self.document: dict[str, Any] = document or {}  # as `dispatcher runs show -o json` prints it

    @property
    def state(self) -> str:
        """scheduled, running, waiting (only people can move it on), succeeded, degraded, failed, aborted, cancelled or migrated (it goes
        on as another run, under another plan)."""
        return self.document["state"]

    @property
    def output(self) -> Any:
        return self.document["output"]

    @property
    def reason(self) -> str:
        """Why it failed, was aborted or cancelled; empty if it was not."""
        return self.document.get("reason", "")

    @property
    def degraded(self) -> list[Degraded]:
        """Which results are not the first choice's, and why."""
        return [Degraded(d.get("step", ""), d.get("rung", ""), d.get("cause", "")) for d in self.document["degraded"]]

    @property
    def steps(self) -> list[dict[str, Any]]:
        return self.document["steps"]

    @property
    def agents(self) -> list[Agent]:
        """Its steps with an agent that have begun: what their models were asked, said and called, and what of their limits
        they have used."""
        return self.document.get("agents", [])

    @property
    def spent(self) -> Spent | None:
        """What its models took together; None: it has called none."""
        return self.document.get("spent")

    @property
    def escalations(self) -> list[str]:
        """The ids of those that wait for people."""
        return self.document["escalations"]

    @property
    def ended(self) -> bool:
        return self.state in _ENDED

    def refresh(self) -> Run:
        """Reads it again."""
        self.document = self._belay._get(self._path()).json()
        return self

    def wait(self, timeout: float | None = None) -> Run:
        """Waits until it has ended, also while it waits for people. Raises TimeoutError after timeout seconds. Where it goes on as
        another run, under another plan, this becomes that run, and waits for its end."""
        return self._until(lambda: self.ended, timeout)

    def rest(self, timeout: float | None = None) -> Run:
        """Waits until it has ended or only people can move it on. Raises TimeoutError after timeout seconds. Where it goes on as
        another run, this becomes that run, as in wait."""
        return self._until(lambda: self.ended or self.state == "waiting", timeout)

    def events(self, *, follow: bool = True, after: int = 0) -> Iterator[Event]:
        """Yields the entries of its log so far, then each new one, until the run has ended. If the connection breaks, it
        resumes after the last entry: none is lost, and none comes twice. follow=False yields only what is there now. after
        is the seq of the entry to start after."""
        if not follow:
            for line in self._belay._get(self._path("/events")).body.splitlines():
                if (e := _event(line)).seq > after:
                    yield e
            return
        patience = Patience(self._belay._patience)
        while True:
            headers = {"Last-Event-ID": str(after)} if after else {}
            try:
                for kind, data in self._belay._endpoint.events(self._path("/events"), timeout=_SILENCE, headers=headers):
                    patience.worked()
                    if kind == "end":
                        self.refresh()
                        return
                    if kind == "frozen":
                        raise BelayError(409, "frozen", "The run is frozen", json.loads(data)["detail"])
                    if (e := _event(data)).seq > after:
                        after = e.seq
                        yield e
            except BelayError as e:
                patience.failed(e)

    def why(self) -> dict[str, Any]:
        """What it waits for, and what will happen if nobody acts."""
        return self._belay._get(self._path("/why")).json()

    def retry(self, reason: str = "", *, key: str = "", id: str = "", traceparent: str = "") -> Run:
        """Continues this run, which has ended, as a new run, without its completed steps."""
        return self._belay._start(self._path("/retry"), {"reason": reason}, key, id, traceparent)

    def replay(self, *from_: str, again: Iterable[str] = (), input: dict[str, Any] | None = None, plan: Any = None, reason: str = "",
               key: str = "", id: str = "", traceparent: str = "") -> Run:
        """Does this run, which has ended, again from these steps on, as a new run that takes over the results of the others, with idempotency
        keys of its own. again names the steps of which calls may be made again that had changed something; without them such a
        replay is refused (BelayError, code confirm), with a list of the calls. input has other values than the run had, plan is
        another version of its plan."""
        return self._belay._start(self._path("/replay"), self._replaying(from_, again, input, plan, reason), key, id, traceparent)

    def replay_plan(self, *from_: str, again: Iterable[str] = (), input: dict[str, Any] | None = None, plan: Any = None) -> dict[str, Any]:
        """What would become of each step if this run were done again, and which calls would be made again. Changes nothing."""
        return self._belay._send("POST", self._path("/replay"), self._replaying(from_, again, input, plan, "") | {"dry_run": True}).json()

    @staticmethod
    def _replaying(from_: Iterable[str], again: Iterable[str], input: dict[str, Any] | None, plan: Any, reason: str) -> dict[str, Any]:
        body = {"from": list(from_), "again": list(again), "input": input, "plan": plan, "reason": reason}
        return {name: value for name, value in body.items() if value}

    def migrate(self, plan: str | dict[str, Any], *, drop: Iterable[str] = (), reason: str = "", key: str = "", id: str = "",
                strict: bool = False) -> Run:
        """Lets this run, which has not ended, go on under another plan, the name of one or a whole one, as another run that takes over
        what is done. drop names steps that are done, and that the plan may do without. What does not fit is refused (BelayError,
        code not_migratable), with a list of what is in the way; nothing is changed then."""
        return self._belay._start(self._path("/migrate"), {"plan": plan, "drop": list(drop), "reason": reason}, key, id, "", strict)

    def migration_plan(self, plan: str | dict[str, Any], *, drop: Iterable[str] = ()) -> dict[str, Any]:
        """What would become of each step if this run went on under that plan, and what is in the way. Changes nothing."""
        return self._belay._send("POST", self._path("/migrate"), {"plan": plan, "drop": list(drop), "dry_run": True}).json()

    def cancel(self, reason: str = "") -> str:
        """Ends it; completed steps are undone where plan or tools say how. Returns the effect in words."""
        return self._belay._send("POST", self._path("/cancel"), {"reason": reason} if reason else {}).json()["effect"]

    def steer(self, message: str = "", *, step: str = "", take_back: int = 0) -> str:
        """Writes to an agent at work: its model reads it before it is asked the next time. take_back is the number of a turn:
        that one and all after it are taken back, with a message or without one. What was done in them stays done and is not
        made again. Returns the effect in words."""
        body: dict[str, Any] = {"text": message, "step": step, "message_id": str(uuid.uuid4())}
        if take_back:
            body["take_back"] = take_back
        return self._belay._send("POST", self._path("/steer"), body).json()["effect"]

    def _until(self, reached: Callable[[], bool], timeout: float | None) -> Run:
        end = None if timeout is None else time.monotonic() + timeout
        left = _WAIT
        while True:
            if end is not None:
                left = max(0.0, end - time.monotonic())
            try:
                self._look(min(left, _WAIT), self._belay._patience if end is None else min(left, self._belay._patience))
            except BelayError as e:
                if end is None or not e.retryable or time.monotonic() < end:
                    raise
                raise TimeoutError(f"run {self.id}: {e}") from e
            if reached() and not self.document.get("goes_on_as"):
                return self
            if end is not None and time.monotonic() >= end:
                raise TimeoutError(f"run {self.id} is still {self.state}")
            if self.state in ("waiting", "migrated"):
                time.sleep(_PAUSE if end is None else max(0.0, min(_PAUSE, end - time.monotonic())))  # the server does not wait for that

    def _look(self, seconds: float, patience: float) -> None:
        """Reads it again once it rests, or after that many seconds."""
        path = self._path() + f"?wait={int(seconds * 1000)}ms"
        self.document = self._belay._send("GET", path, waits=seconds, patience=patience).json()
        if to := self.document.get("goes_on_as"):
            self._become(to, patience)

    def _become(self, run: str, patience: float) -> None:
        """Turns into the run that this one goes on as, once a dispatcher has submitted that."""
        try:
            document = self._belay._send("GET", "/api/v1/runs/" + quote(run, safe=""), patience=patience).json()
        except BelayError as e:
            if e.code != "no_run":
                raise
            return
        if (document.get("migrates") or {}).get("run") == self.id:  # or it has taken the id, and this one goes on under another one
            self.id, self.document = run, document

    def _path(self, more: str = "") -> str:
        return "/api/v1/runs/" + quote(self.id, safe="") + more

    def __repr__(self) -> str:
        return f"Run({self.id!r}, {self.document.get('state', 'not looked at')})"


def _event(line: str | bytes) -> Event:
    e = json.loads(line)
    data = e.get("event")
    if not isinstance(data, dict):
        data = {}
    return Event(e["seq"], e["time"], e["subject"], str(data.get("type", "")), data)
