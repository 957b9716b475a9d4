"""Plays of a plan on a virtual clock, for tests: what fails, what people decide, and what came of it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_CERTAIN = {"rate_limited", "connection", "invalid_input", "unauthorized", "forbidden", "not_found", "conflict"}


@dataclass(frozen=True)
class Line:
    """Something that happened in a play."""

    at: float  #: seconds since the submission
    who: str
    text: str


@dataclass(frozen=True)
class Ending:
    """How a play ended. str() says what happened, line by line."""

    state: str  #: of the run
    degraded: list[str]  #: step.rung
    asked: list[str]  #: "unknown of refund", the first one first
    effects: dict[str, int]  #: how often each tool has had its effect
    took: float  #: seconds of work; people's time is left out
    lines: list[Line] = field(repr=False)

    def __str__(self) -> str:
        return "\n".join(f"{line.at:10.3f}s  {line.who:<10}  {line.text}" for line in self.lines)


class Play:
    """One play of a plan: no server, no tool is called, and hours take no time. The program `dispatcher` must be in PATH, or
    named by BELAY_DISPATCHER. What tools give is made up where returns() does not say it.

        end = Play("refund.yaml").fail("lookup", "unavailable", 2).person("approve").run()
        assert end.state == "succeeded" and end.effects["payments.refund"] == 1, end
    """

    def __init__(self, plan: str | os.PathLike[str], tools: str | os.PathLike[str] | None = None, **inputs: Any):
        where = Path(plan).resolve()
        self._story: dict[str, Any] = {
            "plan": str(where), "tools": str(Path(tools).resolve() if tools else where.parent / "tools.yaml"),
            "input": inputs, "outputs": {}, "world": [], "people": [], "expect": {"ends": "any"},
        }

    def returns(self, step: str, value: Any) -> Play:
        """What the calls of a step give, or those of a tool."""
        self._story["outputs"][step] = value
        return self

    def fail(self, at: str, failure_class: str, times: int = 0, *, acted: bool = False) -> Play:
        """Lets so many calls of a step fail, 0 for all; a rung that is not the first is named step.rung. acted: the call has had
        its effect before it failed."""
        step, rung = _place(at)
        may = acted or failure_class not in _CERTAIN
        self._story["world"].append({
            "step": step, "rung": rung, "times": times, "acted": acted, "class": failure_class, "may_have_acted": may, "message": "the test says so",
        })
        return self

    def suffer(self, at: str, fault: str, times: int = 0) -> Play:
        """Lets one of a drill's faults befall so many calls: killed-after, late, no-worker, 503 and so on."""
        step, rung = _place(at)
        self._story["world"].append({"step": step, "rung": rung, "fault": fault, "times": times})
        return self

    def person(self, *verbs: str) -> Play:
        """What people decide, one question after the other; "none" is nobody."""
        self._story["people"].extend({"verb": verb} for verb in verbs)
        return self

    def run(self) -> Ending:
        """Plays it. An effect that is lost or doubled, or a run that is stuck, is an AssertionError; what cannot be played is a
        ValueError that says why."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "play.story.yaml"
            file.write_text(json.dumps(self._story), encoding="utf-8")
            program = os.environ.get("BELAY_DISPATCHER", "dispatcher")
            said = subprocess.run([program, "drill", str(file), "-o", "json"], capture_output=True, text=True, check=False)
        try:
            ended = json.loads(said.stdout)[0]
        except (ValueError, LookupError, TypeError):
            raise ValueError(_problem(said.stderr, str(file))) from None
        end = Ending(ended["ends"], ended["degraded"], ended["asked"], ended["effects"], ended["took"], [Line(**line) for line in ended["lines"]])
        if ended["wrong"]:
            raise AssertionError("; ".join(ended["wrong"]) + "\n" + str(end))
        return end


def _problem(stderr: str, file: str) -> str:
    """What the program says is wrong, without the name of a file that nobody has written."""
    try:
        stderr = json.loads(stderr)["error"]["detail"]
    except (ValueError, LookupError, TypeError):
        pass
    return stderr.strip().removeprefix(file + ": ")


def _place(at: str) -> tuple[str, str]:
    """Takes step, step.rung and, of a call of an agent, step~t1.2 and step~t1.2.rung apart."""
    call = re.fullmatch(r"([^.]*~t\d+\.\d+)(?:\.(.*))?", at)
    if call:
        return call[1], call[2] or ""
    step, _, rung = at.partition(".")
    return step, rung
