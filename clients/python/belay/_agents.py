"""Agents: the types of what a run's document says of them, of what a limit may be given, and of plans with an agent."""

from __future__ import annotations

from typing import Any, TypedDict


class _AgentLimits(TypedDict):
    turns: int  # times that the model is asked
    calls: int  # calls that it proposes, those that do not fit included
    repeats: int  # turns that propose the same
    refusals: int  # calls in a row that people have rejected


class AgentLimits(_AgentLimits, total=False):
    """How much an agent may use, or has used."""

    tokens: int  # read and written by the model
    usd: float  # for the model; reserved before each turn
    time: float  # of work: without what people take; in seconds


class _Asked(TypedDict):
    id: str  # <run>-<n>
    kind: str  # what people were asked
    state: str  # open, decided, expired or superseded
    step: str  # empty: the run itself
    message: str  # what it is about, in words
    opened: str  # the log's time
    ended: str | None  # None while it is open
    deadline: str | None  # None = none


class Asked(_Asked, total=False):
    """One question that a run has asked people: how long it waited for them, and what came of it."""

    rung: str  # that its step stood on
    needed: int  # how many people must approve
    approvals: list[str]  # who has
    decision: str  # what was decided; not there = nothing
    by: str  # who decided
    via: str  # cli, console, api
    reason: str  # in that person's words


class _AgentNote(TypedDict):
    by: str  # who wrote it
    text: str  # in that person's words; cut


class AgentNote(_AgentNote, total=False):
    """What a person has written to an agent at work."""

    takes_back: int  # number of the first turn that it takes back, and all after it up to this one
    unread: bool  # the model has not been asked since


class _TakenBack(TypedDict):
    by: str  # who did
    at: str  # the log's time


class TakenBack(_TakenBack, total=False):
    """Who has taken back a turn of an agent: its model hears of it only what was done in it."""

    reason: str  # in that person's words; cut


class _AgentCall(TypedDict):
    tool: str  # its name; the model's word for it where there is no such tool
    arguments: Any  # as the model proposed them; a string where they are no JSON, or cut


class AgentCall(_AgentCall, total=False):
    """A call that an agent has proposed, and what came of it."""

    step: str  # the unit's id; not there: it was not begun, because a limit is reached
    changed: Any  # what a person made of them
    state: str  # where it stands; not there: it was not begun
    rung: str  # that it stands on
    result: str  # what the model is told of it; cut
    failed: bool  # it is told that there is no result
    stays: bool  # it is done, and stays done although its turn was taken back
    result_of: str  # the call, in a turn taken back, whose result it shows; nothing was made again
    degraded: str  # how the result came about, where not as meant
    answer_by: str  # the person who gave the result
    people: list[Asked]  # what people were asked about it
    took: float  # all its attempts, in seconds


_Given = TypedDict("_Given", {"class": str}, total=False)  # the class of the fault that it was given up for


class _AgentTurn(TypedDict):
    step: str  # the unit's id
    number: int  # from 1
    state: str  # where it stands
    rung: str  # of the model's tool


class AgentTurn(_AgentTurn, _Given, total=False):
    """One time that an agent's model was asked."""

    said: str  # what the model said; cut
    wrong: str  # why its answer was not taken; cut
    calls: list[AgentCall]  # that it proposes
    notes: list[AgentNote]  # that people wrote while it was the last turn; the next one begins with them
    taken_back: TakenBack  # who has taken it back; not there while it counts
    degraded: str  # why another rung than the first has answered
    answer_by: str  # the person who answered in the model's place
    message: str  # of the fault that it was given up for, whose class is in "class"
    people: list[Asked]  # what people were asked about it
    took: float  # all its attempts, in seconds
    tokens: int  # read and written; where nobody knows, those that were reserved
    cost: float  # in US dollars


class _AgentSummary(TypedDict):
    step: str  # the unit's id
    number: int  # from 1
    state: str  # where it stands
    rung: str  # of the tool that makes it
    after: int  # turns that had begun when it was asked for
    first: int  # the first turn that it is made of, beside the summary before it
    upto: int  # the last turn that it stands for


class AgentSummary(_AgentSummary, _Given, total=False):
    """What an agent's model reads in place of its first turns: another model has summarised them."""

    missing: int  # turns up to upto which are in no summary
    text: str  # what it says; cut. Not there: the agent goes on without it
    read: bool  # it is the one that the agent's model reads now
    degraded: str  # why another rung than the first has made it
    answer_by: str  # the person who answered in the model's place
    message: str  # of the fault that it was given up for, whose class is in "class"
    people: list[Asked]  # what people were asked about it
    took: float  # all its attempts, in seconds
    tokens: int  # read and written; where nobody knows, those that were reserved
    cost: float  # in US dollars


class _Agent(TypedDict):
    step: str  # the unit's id
    model: str  # the tool that asks the model
    state: str  # where it stands
    prompt: str  # its task
    turns: list[AgentTurn]  # oldest first
    limits: AgentLimits  # with what people have added; none where there is no number
    used: AgentLimits  # of each limit; where nobody knows what a turn took, what was reserved for it counts


class Agent(_Agent, total=False):
    """An agent step: what it was asked, what its model said and called, and how much of its limits that took. Long texts are
    cut, and end with "…"."""

    instructions: str  # what the model is told first
    summaries: list[AgentSummary]  # of its first turns, oldest first
    earlier: int  # turns before the first one here
    last: bool  # it is asked for the last time, without tools
    people: list[Asked]  # what people were asked about its limits


class _Spent(TypedDict):
    input: int  # tokens read, the cached ones included
    output: int  # tokens written


class Spent(_Spent, total=False):
    """What all calls of models in a run took together, as far as it was counted."""

    cached: int  # tokens of input that providers had kept from earlier calls
    usd: float  # in US dollars, by the prices that the run was submitted with


class More(TypedDict, total=False):
    """The params of extend: what an agent gets in addition to what it had. What is not named gets nothing; without params it
    gets as much again of everything that the plan gives it."""

    turns: int
    calls: int
    tokens: int
    usd: float
    time: float  # in seconds
    repeats: int
    refusals: int


class PlanLimits(TypedDict, total=False):
    """How far an agent of a plan may go."""

    turns: int
    calls: int
    tokens: int
    usd: float
    time: str  # of work, like "10m"
    repeats: int
    refusals: int


class _PlanSummary(TypedDict):
    model: str  # the tool that asks the model


class PlanSummary(_PlanSummary, total=False):
    """What makes the summaries of an agent of a plan."""

    instructions: str  # template of what a summary is to hold
    max_output_tokens: int  # of one summary


class _PlanAgent(TypedDict):
    model: str  # the tool that asks the model
    prompt: str  # template of its task


class PlanAgent(_PlanAgent, total=False):
    """An agent of a plan, in place of a tool."""

    instructions: str  # template of what the model is told first
    tools: list[str]  # that it may call; * stands for any part of a name, and ask_person asks a person
    output_schema: dict[str, Any]  # of its answer; without one that is {"text": ...}
    max_output_tokens: int  # of one turn
    keep_turns: int  # that the model is shown in full, the last ones
    keep_output: int  # bytes of a call's result that the model is shown
    summary: PlanSummary  # of the turns before those of keep_turns; not there: they are left out
    limits: PlanLimits
    on_limit: str  # escalate (ask people), finish or fail


class _PlanStep(TypedDict):
    id: str


_With = TypedDict("_With", {"with": "dict[str, Any] | str"}, total=False)  # the parameters of the tool, as templates


class PlanStep(_PlanStep, _With, total=False):
    """A step of a plan, of a tool or with an agent. Its parameters are in "with"."""

    tool: str
    agent: PlanAgent
    needs: list[str]  # ids of the steps that it waits for; not there: the one before it
    when: str | bool  # expression: it is skipped where this is not true
    for_each: str  # template of a list: the step is one for each item
    max_parallel: int  # of these
    on_failure: str  # escalate (ask people), skip or fail
    compensate: dict[str, Any] | str  # tool and with of what undoes it, in place of what its tools say; "none": nothing does


class _Plan(TypedDict):
    name: str
    steps: list[PlanStep]


class Plan(_Plan, total=False):
    """A whole plan, as submit takes it; `dispatcher schema plan` says what each key means."""

    input: dict[str, Any]  # defaults
    input_schema: dict[str, Any]
    deadline: str  # of the run, like "10m"
    on_deadline: str  # escalate (ask people) or fail
    escalate_after: int
    labels: dict[str, str]
    output: Any  # template
    waivers: list[dict[str, str]]
