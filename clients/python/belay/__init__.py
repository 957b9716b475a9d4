"""Client and worker for Belay, with the standard library alone. README.md beside this package shows both."""

from ._agents import Agent, AgentCall, AgentLimits, AgentNote, AgentSummary, AgentTurn, Asked, More, Plan, PlanAgent, PlanLimits, PlanStep, PlanSummary, Spent, TakenBack
from ._client import Belay
from ._http import BelayError
from ._people import Decision, Done, Escalation
from ._play import Ending, Line, Play
from ._run import Degraded, Event, Run
from ._worker import Call, Failure, NeedHuman, NothingHappened, Permanent, Retry, RetryAfter, Stopped, tool, work

__all__ = [
    "Agent", "AgentCall", "AgentLimits", "AgentNote", "AgentSummary", "AgentTurn", "Asked", "Belay", "BelayError", "Call", "Decision",
    "Degraded", "Done", "Ending", "Escalation", "Event", "Failure", "Line", "More", "NeedHuman", "NothingHappened",
    "Permanent", "Plan", "PlanAgent", "PlanLimits", "PlanStep", "PlanSummary", "Play", "Retry", "RetryAfter", "Run", "Spent", "Stopped",
    "TakenBack", "tool", "work",
]
