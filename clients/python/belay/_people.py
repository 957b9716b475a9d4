"""Escalations: the questions that wait for people."""

from __future__ import annotations

import dataclasses
import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from ._agents import Agent, More
    from ._client import Belay


@dataclasses.dataclass(frozen=True)
class Done:
    """What came of a decision, or of another act."""

    id: str
    action: str
    by: str
    effect: str  # in words
    again: bool  # the same person had decided the same before; nothing was done again
    part: bool  # it is one of several approvals; more people must approve


@dataclasses.dataclass(frozen=True)
class Decision:
    """What a handler of drain decides."""

    verb: str  # one of Escalation.allowed
    reason: str = ""
    params: dict[str, Any] | More | None = None  # edit: the whole new parameters; extend: what an agent gets in addition
    answer: Any = None  # answer: the step's output
    scope: str = ""  # reject: what it covers beside exactly this call, tool or target


def done(d: dict[str, Any]) -> Done:
    return Done(d["id"], d["action"], d.get("by", ""), d.get("effect", ""), bool(d.get("again")), bool(d.get("part")))


class Escalation:
    """A question to people about a run."""

    def __init__(self, belay: Belay, item: dict[str, Any]) -> None:
        self._belay = belay
        self.item = item  # what lists show
        self.dossier: dict[str, Any] = {}  # the whole context; empty until it is loaded
        self.etag = ""

    @property
    def id(self) -> str:
        return self.item["id"]

    @property
    def kind(self) -> str:
        """approval, failure, unknown, question, limit, deadline or dead_letter."""
        return self.item["kind"]

    @property
    def state(self) -> str:
        return self.item["state"]

    @property
    def run(self) -> str:
        return self.item["run"]

    @property
    def step(self) -> str:
        return self.item["step"]

    @property
    def tool(self) -> str:
        return self.item["tool"]

    @property
    def message(self) -> str:
        return self.item["message"]

    @property
    def allowed(self) -> list[str]:
        """The verbs that are possible."""
        return self.item["allowed"]

    @property
    def params(self) -> Any:
        """The parameters of the call that it is about; None without one."""
        return (self._loaded().get("failing") or {}).get("params")

    @property
    def agent(self) -> Agent | None:
        """The agent whose limit, turn or call it is about, with its last turns; None where there is none."""
        return self._loaded().get("agent")

    @property
    def digest(self) -> str:
        """What an approval approves; empty where none is asked for."""
        return (self._loaded().get("approval") or {}).get("digest", "")

    def load(self) -> Escalation:
        """Loads the whole context, as it is now."""
        answer = self._belay._get("/api/v1/escalations/" + quote(self.id, safe=""))
        card = answer.json()
        self.item, self.dossier, self.etag = card["item"], card["dossier"], answer.headers.get("ETag", "")
        return self

    def decide(self, verb: str, *, reason: str = "", params: dict[str, Any] | More | None = None, answer: Any = None, scope: str = "",
               take: bool = False) -> Done:
        """Decides it as it was loaded; refused (BelayError with the code changed or decided) if it is not that any more."""
        digest = self.digest if verb == "approve" else ""
        self._loaded()
        return self._belay.decide(self.id, verb, reason=reason, digest=digest, params=params, answer=answer, scope=scope, take=take, if_match=self.etag)

    def claim(self, *, take: bool = False) -> Done:
        """Tells others that you work on it; they are not notified of it meanwhile, and cannot decide it without taking it
        over. take takes it over from whoever has claimed it."""
        return self._belay._act(self.id, "claim", {"take": True} if take else {})

    def release(self) -> Done:
        """Gives your claim back."""
        return self._belay._act(self.id, "release", {})

    def note(self, text: str) -> Done:
        """Leaves a note for whoever decides it."""
        return self._belay._act(self.id, "note", {"text": text})

    def assign(self, to: str) -> Done:
        """Assigns it to a person."""
        return self._belay._act(self.id, "assign", {"to": to})

    def snooze(self, until: datetime.datetime) -> Done:
        """Pauses its notices until then; its deadline stays."""
        return self._belay._act(self.id, "snooze", {"until": until.astimezone(datetime.timezone.utc).isoformat()})

    def _loaded(self) -> dict[str, Any]:
        if not self.dossier:
            self.load()
        return self.dossier

    def __repr__(self) -> str:
        return f"Escalation({self.id!r}, {self.item.get('kind', 'not looked at')})"
