"""A dispatcher over its HTTP API (/openapi.json): what is started, looked at and decided there."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlencode

from ._agents import More, Plan
from ._http import Answer, BelayError, Endpoint, Patience
from ._people import Decision, Done, Escalation, done
from ._run import Run

_PAGE = 100  # items of a list that one request asks for
_LARGEST = 1000  # items of the largest page
_REPEATED = 5.0  # seconds for which a request is repeated that may be
_TAKEN = ("no_escalation", "decided", "changed", "approved", "claimed", "not_allowed")  # somebody else was faster


class Belay:
    """A dispatcher, as `dispatcher dev` or `dispatcher serve --listen` serves it. It may be used by several threads."""

    def __init__(self, url: str | None = None, token: str | None = None, *, timeout: float = 30, patience: float = 60) -> None:
        """url and token default to BELAY_URL and BELAY_API_TOKEN. timeout, in seconds, is for one answer. patience is for
        how long wait, rest and events go on while the server does not answer; other requests that may be repeated are
        repeated for 5 seconds at most."""
        url = url or os.environ.get("BELAY_URL") or ""
        if not url:
            raise ValueError("no URL; give the one that `dispatcher dev` prints as console, or set BELAY_URL")
        self._endpoint = Endpoint(url, token or os.environ.get("BELAY_API_TOKEN"))
        self._timeout = timeout
        self._patience = patience

    def submit(self, plan: str | dict[str, Any] | Plan, input: dict[str, Any] | None = None, *, key: str = "", id: str = "",
               labels: dict[str, str] | None = None, at: str | datetime = "", in_: str = "", traceparent: str = "", strict: bool = False) -> Run:
        """Starts a run of a plan of the server, by its name, or of a whole plan. Repeating it with the same key or id finds the
        same run; without either it is not sent again when there was no answer. It is accepted now and begins at a time (RFC
        3339, or a datetime with its zone) or in a while ("10m"), where one is given. Raises BelayError with the code invalid_plan
        or invalid_input, and every mistake in errors; strict makes mistakes of the warnings of `dispatcher prove`. traceparent
        (W3C) is the parent of the run's spans."""
        if isinstance(at, datetime):
            if at.tzinfo is None:
                raise ValueError("at has no time zone: datetime.now(timezone.utc) has one")
            at = at.isoformat()
        return self._start("/api/v1/runs", {"plan": plan, "input": input, "labels": labels, "at": at, "in": in_}, key, id, traceparent, strict)

    def call(self, tool: str, params: dict[str, Any] | None = None, *, key: str = "", id: str = "", labels: dict[str, str] | None = None,
             timeout: float | None = None, traceparent: str = "", strict: bool = False) -> Run:
        """Calls one tool as a run of one step, with its retries, fallbacks and approval, and waits until it has ended or only
        people can move it on. The run's output is the tool's."""
        run = self._start("/api/v1/calls", {"tool": tool, "params": params, "labels": labels}, key, id, traceparent, strict)
        return run.rest(timeout)

    def _start(self, path: str, order: dict[str, Any], key: str, id: str, traceparent: str, strict: bool = False) -> Run:
        body = {k: v for k, v in {**order, "id": id}.items() if v}
        headers = {"Idempotency-Key": key, "traceparent": traceparent}
        answer = self._send("POST", path + ("?strict=true" if strict else ""), body, {k: v for k, v in headers.items() if v}, repeatable=bool(key or id))
        document = answer.json()
        return Run(self, document["id"], document)

    def run(self, id: str) -> Run:
        """The run with this id, as it is now."""
        return Run(self, id).refresh()

    def runs(self, *, state: str = "", workflow: str = "", since: str = "", until: str = "", labels: dict[str, str] | None = None,
             input: dict[str, str] | None = None, limit: int = _PAGE, where: str = "", tool: str = "", fault: str = "", fault_reason: str = "",
             fault_text: str = "", ended_since: str = "", ended_until: str = "") -> list[dict[str, Any]]:
        """Summaries of the newest runs, at most limit: id, workflow, state, labels, started, ended. since, until and those of the
        end are times (RFC 3339); labels and input are what a run must have, such as {"customer.id": "17"}; fault, fault_reason and
        fault_text are what an attempt must have failed with; where is a query as in the console, "refund fault:timeout since:7d"."""
        found: list[dict[str, Any]] = []
        after = ""
        while len(found) < limit:
            page = self._get("/api/v1/runs", state=state, workflow=workflow, since=since, until=until, label=_pairs(labels), input=_pairs(input),
                             where=where, tool=tool, fault=fault, fault_reason=fault_reason, fault_text=fault_text, ended_since=ended_since, ended_until=ended_until,
                             limit=min(limit - len(found), _LARGEST), after=after).json()
            found += page["items"]
            after = page.get("next", "")
            if not after:
                break
        return found

    def workers(self) -> list[dict[str, Any]]:
        """The workers that run now."""
        return self._get("/api/v1/workers").json()["items"]

    def doctor(self) -> dict[str, Any]:
        """What is not as it should be, with what to do, as `dispatcher doctor` finds it."""
        return self._get("/api/v1/doctor").json()

    def breakers(self) -> list[dict[str, Any]]:
        """The breakers that are not closed: targets that are left alone because they fail, with why."""
        return self._get("/api/v1/breakers").json()["items"]

    def schedules(self) -> list[dict[str, Any]]:
        """What starts runs again and again, by name, with the last firings and the states of their runs."""
        return self._get("/api/v1/schedules").json()["items"]

    def schedule(self, name: str) -> dict[str, Any]:
        """One schedule, with its last firings and the states of their runs."""
        return self._get(f"/api/v1/schedules/{quote(name, safe='')}").json()

    def add_schedule(self, plan: str | dict[str, Any], cron: str, *, name: str = "", input: dict[str, Any] | None = None, labels: dict[str, str] | None = None,
                     tz: str = "UTC", jitter: int = 0, overlap: str = "skip", catch_up: str = "last", catch_up_window: float = 3600, replace: bool = False) -> dict[str, Any]:
        """Starts runs of a plan at the times of a cron expression ("0 9 * * 1-5"). jitter and catch_up_window are in seconds."""
        order: dict[str, Any] = {"plan": plan, "cron": cron, "tz": tz, "jitter": jitter, "overlap": overlap, "catch_up": catch_up, "catch_up_window": catch_up_window}
        order |= {k: v for k, v in (("name", name), ("input", input), ("labels", labels), ("replace", replace)) if v}
        return self._send("POST", "/api/v1/schedules", order).json()

    def pause_schedule(self, name: str, reason: str = "") -> dict[str, Any]:
        """Lets a schedule fire no more until it is resumed."""
        return self._send("POST", f"/api/v1/schedules/{quote(name, safe='')}/pause", {"reason": reason}).json()

    def resume_schedule(self, name: str, reason: str = "") -> dict[str, Any]:
        """Lets a schedule fire again, from now on."""
        return self._send("POST", f"/api/v1/schedules/{quote(name, safe='')}/resume", {"reason": reason}).json()

    def fire_schedule(self, name: str) -> dict[str, Any]:
        """Starts a run of a schedule now; its id is in "run". A BelayError with code run_open where the run before is open and overlap is skip."""
        return self._send("POST", f"/api/v1/schedules/{quote(name, safe='')}/fire", {}).json()

    def remove_schedule(self, name: str, reason: str = "") -> dict[str, Any]:
        """Removes a schedule; the runs that it has started stay."""
        return self._send("DELETE", f"/api/v1/schedules/{quote(name, safe='')}", {"reason": reason}).json()

    def limits(self) -> list[dict[str, Any]]:
        """The limits that calls count for at present: how many are in hand, who waits, when the next one may begin."""
        return self._get("/api/v1/limits").json()["items"]

    def limit(self, id: str) -> dict[str, Any]:
        """One limit, by its id or by what it covers, with who has its slots and who waits for one."""
        return self._get("/api/v1/limits/" + quote(id, safe="")).json()


    def slo(self, *, window: str = "") -> dict[str, Any]:
        """What came of the calls of each tool, against its objective, and what is unusual; window: such as "24h" or "7d"."""
        return self._get("/api/v1/slo" + (f"?window={quote(window, safe='')}" if window else "")).json()

    def causes(self, *, tool: str = "", new: bool = False) -> list[dict[str, Any]]:
        """What calls fail with, what was seen last first; new: only what was first seen since its tool was changed."""
        return self._get(f"/api/v1/causes?tool={quote(tool, safe='')}" + ("&new=true" if new else "")).json()["items"]

    def gates(self, *, all: bool = False) -> list[dict[str, Any]]:
        """The gates that are closed, with what they hold back; all: those too that were opened lately."""
        return self._get("/api/v1/gates" + ("?all=true" if all else "")).json()["items"]

    def gate(self, id: str) -> dict[str, Any]:
        """One gate, with what it holds back and which calls that it covers still run."""
        return self._get(f"/api/v1/gates/{quote(id, safe='')}").json()

    def close_gate(self, covers: dict[str, Any], reason: str, *, id: str = "", until: str = "") -> dict[str, Any]:
        """Closes a gate: nothing that it covers ({"tool": "payments.*"}, {"all": True}) begins until somebody opens it."""
        order = {"covers": covers, "reason": reason, **({"id": id} if id else {}), **({"until": until} if until else {})}
        return self._send("POST", "/api/v1/gates", order).json()

    def open_gate(self, id: str, reason: str = "") -> dict[str, Any]:
        """Opens a gate: what it held back goes on."""
        return self._send("POST", f"/api/v1/gates/{quote(id, safe='')}/open", {"reason": reason}).json()

    def cancel_all(self, where: str, reason: str = "", *, rate: float = 0, dry_run: bool = False) -> dict[str, Any]:
        """Cancels the open runs that a search finds ("refund state:waiting since:7d"), at most 1000, rate a second (10). It returns
        once that has begun; redrive(id) says how far it is. dry_run only says which runs they are."""
        return self._all("cancel", where, reason, rate, dry_run)

    def retry_all(self, where: str, reason: str = "", *, rate: float = 0, dry_run: bool = False) -> dict[str, Any]:
        """Goes on from the runs that a search finds and that have failed, were aborted or cancelled, as new runs. What was retried before is not
        retried again. The rest is as for cancel_all."""
        return self._all("retry", where, reason, rate, dry_run)

    def _all(self, verb: str, where: str, reason: str, rate: float, dry_run: bool) -> dict[str, Any]:
        order: dict[str, Any] = {"where": where, "reason": reason, "rate": rate, "dry_run": dry_run}
        return self._send("POST", f"/api/v1/runs/{verb}", {k: v for k, v in order.items() if v}).json()

    def redrive(self, id: str) -> dict[str, Any]:
        """How far a cancel_all or retry_all is, and what became of each run."""
        return self._get(f"/api/v1/redrives/{quote(id, safe='')}").json()

    def stop_redrive(self, id: str) -> dict[str, Any]:
        """Stops one; what is done stays done."""
        return self._send("POST", f"/api/v1/redrives/{quote(id, safe='')}/stop", {}).json()

    def resume_redrive(self, id: str) -> dict[str, Any]:
        """Goes on with the runs that one has not reached, after somebody stopped it or its dispatcher ended."""
        return self._send("POST", f"/api/v1/redrives/{quote(id, safe='')}/resume", {}).json()

    def archive(self, file: str | os.PathLike[str], ended_until: str | datetime, *, where: str = "") -> list[dict[str, Any]]:
        """Writes the whole logs of runs that ended before a time into a file that is not there yet, as `dispatcher runs archive` does, and
        returns the runs that are in it. It was checked and is on disk then. It is held in memory meanwhile: where narrows it."""
        if isinstance(ended_until, datetime):
            if ended_until.tzinfo is None:
                raise ValueError("ended_until has no time zone: datetime.now(timezone.utc) has one")
            ended_until = ended_until.isoformat()
        text = self._get("/api/v1/archive", ended_until=ended_until, where=where).body
        runs = _archived(text)
        with open(file, "xb") as f:
            f.write(text)
            f.flush()
            os.fsync(f.fileno())
        return runs

    def remove_archived(self, archive: str, runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Removes from the log the runs of an archive, as archive returns them, and says what became of each: result is removed, gone or
        kept, with why. archive says where it is kept, for the audit trail. A run is removed if its log still has the digest that the
        archive says. Repeating it is safe. It takes an admin."""
        became: list[dict[str, Any]] = []
        for i in range(0, len(runs), _LARGEST):
            items = [{"id": r["id"], "sha256": r["sha256"]} for r in runs[i:i + _LARGEST]]
            became += self._send("POST", "/api/v1/archive/remove", {"archive": archive, "items": items}, repeatable=True).json()["items"]
        return became

    def passkeys(self) -> list[dict[str, Any]]:
        """The passkeys that you have registered in the console, also those that were removed; an admin sees everybody's."""
        return self._get("/api/v1/passkeys").json()["items"]

    def remove_passkey(self, id: str) -> dict[str, Any]:
        """Removes a passkey: it approves nothing any more."""
        return self._send("DELETE", f"/api/v1/passkeys/{quote(id, safe='')}").json()

    def escalations(self, *, kind: str = "", tool: str = "", workflow: str = "", failure_class: str = "", run: str = "",
                    fingerprint: str = "") -> Iterator[Escalation]:
        """What waits for people, the most urgent first. With run, its id, the list is what its log says; without it
        that comes a moment later, unless the run was waited for."""
        after = ""
        while True:
            page = self._get("/api/v1/escalations", **{"kind": kind, "tool": tool, "workflow": workflow, "class": failure_class, "run": run,
                                                       "fingerprint": fingerprint, "limit": _PAGE, "after": after}).json()
            for item in page["items"]:
                yield Escalation(self, item)
            after = page.get("next", "")
            if not after:
                return

    def escalation(self, id: str) -> Escalation:
        """One escalation with its whole context."""
        return Escalation(self, {"id": id}).load()

    def decide(self, id: str, verb: str, *, reason: str = "", digest: str = "", params: dict[str, Any] | More | None = None, answer: Any = None,
               scope: str = "", revision: int = 0, take: bool = False, if_match: str = "") -> Done:
        """Decides an escalation. digest, for approve, is Escalation.digest of what was looked at: anything else is refused.
        params are the whole new ones of an edit, or what extend gives an agent in addition; without them it gets as much again
        of everything. scope, for reject, is what it covers beside exactly this call: tool or target. take does it although
        somebody else has claimed it."""
        body: dict[str, Any] = {"reason": reason, "scope": scope, "digest": digest, "params": params, "revision": revision, "take": take}
        body = {k: v for k, v in body.items() if v}
        if verb == "edit" or verb == "extend" and params is not None:
            body["params"] = params
        if verb == "answer":
            body["answer"] = answer
        return self._act(id, verb, body, if_match)

    def drain(self, handler: Callable[[Escalation], Decision | None], *, every: float | None = None, claim: bool = False, **filters: str) -> int:
        """Passes every open escalation, with its whole context, to handler, and makes the decision that it returns; None leaves
        the escalation to others. claim claims each one first, so that nobody else works on it, and releases those that are
        left. Returns how many were decided. With every, in seconds, it looks again and again, and never returns. What somebody
        else decides, changes or claims in the meantime is left alone. filters are those of escalations."""
        decided, left = 0, set()
        while True:
            for e in list(self.escalations(**filters)):
                try:
                    e.load()
                    if (e.id, e.etag) in left or e.state != "open":
                        continue
                    if self._show(handler, e, claim):
                        decided += 1
                    else:
                        left.add((e.id, e.etag))
                except BelayError as problem:
                    if problem.code not in _TAKEN:
                        raise
            if every is None:
                return decided
            time.sleep(every)

    def _show(self, handler: Callable[[Escalation], Decision | None], e: Escalation, claim: bool) -> bool:
        """Shows one escalation to handler; whether that has decided it."""
        if claim:
            e.claim()
        d = None
        try:
            d = handler(e)
        finally:
            if claim and d is None:
                e.release()
        if d is None:
            return False
        e.decide(d.verb, reason=d.reason, scope=d.scope, params=d.params, answer=d.answer)
        return True

    def _act(self, id: str, verb: str, body: dict[str, Any], if_match: str = "") -> Done:
        path = f"/api/v1/escalations/{quote(id, safe='')}/{quote(verb, safe='')}"
        return done(self._send("POST", path, body, {"If-Match": if_match} if if_match else {}).json())

    def _get(self, path: str, **query: Any) -> Answer:
        query = {k: v for k, v in query.items() if v not in ("", None, [])}
        return self._send("GET", path + ("?" + urlencode(query, doseq=True) if query else ""))

    def _send(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None, *, repeatable: bool = False,
              waits: float = 0, patience: float = _REPEATED) -> Answer:
        """Sends a request, and repeats it where that may help. Without an answer only what may be repeated is: a get, and
        what repeatable says. waits is how long, in seconds, the request asks the server to wait."""
        left = Patience(min(patience, self._patience))
        while True:
            try:
                return self._endpoint.request(method, path, body, timeout=waits + self._timeout, headers=headers)
            except BelayError as e:
                if e.status == 0 and method != "GET" and not repeatable:
                    raise
                left.failed(e)


def _archived(text: bytes) -> list[dict[str, Any]]:
    """The runs of an archive, if it is whole."""
    lines = text.splitlines(keepends=True)
    end = json.loads(lines[-1]).get("end") if text.endswith(b"\n") else None
    if not end or end["sha256"] != hashlib.sha256(b"".join(lines[:-1])).hexdigest():
        raise BelayError(0, "damaged", "The archive is not whole", "its last line is missing, or is of another one", retryable=True)
    return [run for run in (json.loads(line).get("run") for line in lines) if run]


def _pairs(values: dict[str, str] | None) -> list[str]:
    return [f"{name}={value}" for name, value in (values or {}).items()]
