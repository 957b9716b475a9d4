"""Client and worker for Belay, with the standard library alone. README.md beside this package shows both."""

from ._client import Belay
from ._http import BelayError
from ._people import Decision, Done, Escalation
from ._play import Ending, Line, Play
from ._run import Degraded, Event, Run
from ._worker import Call, Failure, NeedHuman, NothingHappened, Permanent, Retry, RetryAfter, Stopped, tool, work

__all__ = [
    "Belay", "BelayError", "Call", "Decision", "Degraded", "Done", "Ending", "Escalation", "Event", "Failure", "Line",
    "NeedHuman",
    "NothingHappened", "Permanent", "Play", "Retry", "RetryAfter", "Run", "Stopped", "tool", "work",
]
