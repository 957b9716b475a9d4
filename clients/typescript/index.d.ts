/** A problem (RFC 9457) that a request was answered with, or that kept it from being answered (status 0). */
export class BelayError extends Error {
  /** Of the answer; 0: there was none. */
  status: number;
  /** A word for programs; "unreachable": there was no answer. */
  code: string;
  title: string;
  detail: string;
  /** Whether the same request may be sent again. */
  retryable: boolean;
  /** Seconds after which to do that, if the answer said so. */
  retryAfter?: number;
  /** Every mistake of a plan or an input. */
  errors: {line?: number; column?: number; path?: string; message: string; hint?: string}[];
  /** The whole answer. */
  problem: Record<string, unknown>;
  private constructor();
}

/** The run has not got there in time. */
export class TimeoutError extends Error {}

export type RunState = "scheduled" | "running" | "waiting" | "succeeded" | "degraded" | "failed" | "aborted" | "cancelled" | "migrated";
export type Verb = "approve" | "reject" | "retry" | "edit" | "answer" | "skip" | "extend" | "finish" | "verify" | "abort";

export type StepState = "pending" | "held" | "queued" | "running" | "retrying" | "unknown" | "escalated" | "succeeded" | "skipped" | "failed" | "cancelled";
export type EscalationKind = "approval" | "failure" | "unknown" | "question" | "limit" | "deadline" | "dead_letter";
export type EscalationState = "open" | "decided" | "expired" | "superseded";

export interface Starting {
  /** Repeating the request with the same key finds the same run. */
  key?: string;
  /** The id of the run, in place of a key. */
  id?: string;
  labels?: Record<string, string>;
  /** The parent (W3C) of the run's spans. */
  traceparent?: string;
  /** Refuse the plan for warnings of `dispatcher prove` too: invalid_plan, with all of them in errors. */
  strict?: boolean;
}

export interface Decision {
  verb: Verb;
  reason?: string;
  /** reject: what it covers beside exactly this call. */
  scope?: "tool" | "target";
  /** edit: the whole new parameters. extend: what an agent gets in addition; without it as much again of everything. */
  params?: Record<string, unknown> | More;
  /** answer: the step's output. */
  answer?: unknown;
  /** Do it although somebody else has claimed it. */
  take?: boolean;
}

/** What came of a decision, or of another act. */
export interface Done {id: string; action: string; by: string; effect?: string; applied_at: string; again?: boolean; part?: boolean}

export interface EscalationFilter {kind?: string; tool?: string; workflow?: string; failureClass?: string; run?: string; fingerprint?: string}

/** A dispatcher, as `dispatcher dev` or `dispatcher serve --listen` serves it. Times are in seconds. */
export class Belay {
  /**
   * url and token default to BELAY_URL and BELAY_API_TOKEN. timeout is for one answer. patience is for how long wait, rest
   * and events go on while the server does not answer; other requests that may be repeated are repeated for 5 s at most.
   */
  constructor(url?: string, token?: string, options?: {timeout?: number; patience?: number});
  /** Starts a run of a plan that the server has, by its name, or of a whole one (a Plan). */
  submit(plan: string | object, input?: object, options?: Starting & {at?: string | Date; in?: string}): Promise<Run>;
  /** Calls one tool, with its retries, fallbacks and approval, and waits until it has ended or only people can move it on. */
  call(tool: string, params?: object, options?: Starting & {timeout?: number}): Promise<Run>;
  run(id: string): Promise<Run>;
  /** Summaries of the newest runs, at most limit (100). where is a query as in the console: "refund fault:timeout since:7d". */
  runs(filters?: {where?: string; state?: RunState; workflow?: string; tool?: string; fault?: string; fault_reason?: string; fault_text?: string; since?: string; until?: string; ended_since?: string; ended_until?: string; labels?: Record<string, string>; input?: Record<string, string>; limit?: number}): Promise<Record<string, any>[]>;
  /** The workers that run now. */
  workers(): Promise<Record<string, any>[]>;
  /** What is not as it should be, with what to do, as `dispatcher doctor` finds it. */
  doctor(): Promise<{at: string; where: string; state: string; findings: {check: string; state: string; seen: string; do?: string}[]}>;
  /** The breakers that are not closed: targets that are left alone because they fail, with why. */
  breakers(): Promise<Breaker[]>;
  /** What starts runs again and again, by name, with the last firings and the states of their runs. */
  schedules(): Promise<Schedule[]>;
  schedule(name: string): Promise<Schedule>;
  /** Starts runs of a plan at the times of a cron expression; jitter and catchUpWindow are in seconds. */
  addSchedule(plan: string | object, cron: string, options?: {name?: string; input?: Record<string, unknown>; labels?: Record<string, string>; tz?: string; jitter?: number; overlap?: Schedule["overlap"]; catchUp?: Schedule["catch_up"]; catchUpWindow?: number; replace?: boolean}): Promise<Schedule>;
  /** Lets a schedule fire no more until it is resumed. */
  pauseSchedule(name: string, reason?: string): Promise<Schedule>;
  /** Lets a schedule fire again, from now on. */
  resumeSchedule(name: string, reason?: string): Promise<Schedule>;
  /** Starts a run of a schedule now; refused with code run_open where the run before is open and overlap is skip. */
  fireSchedule(name: string): Promise<Firing>;
  /** Removes a schedule; the runs that it has started stay. */
  removeSchedule(name: string, reason?: string): Promise<Schedule>;
  /** The limits that calls count for at present: how many are in hand, who waits, when the next one may begin. */
  limits(): Promise<Limit[]>;
  /** One limit, by its id or by what it covers, with who has its slots and who waits for one. */
  limit(id: string): Promise<Limit>;
  /** What came of the calls of each tool, against its objective, and what is unusual; window: such as "24h" or "7d". */
  slo(options?: {window?: string}): Promise<HowItGoes>;
  /** What calls fail with, what was seen last first; isNew: only what was first seen since its tool was changed. */
  causes(options?: {tool?: string; isNew?: boolean}): Promise<Cause[]>;
  /** The gates that are closed, with what they hold back; all: those too that were opened lately. */
  gates(options?: {all?: boolean}): Promise<GateProgress[]>;
  /** One gate, with what it holds back and which calls that it covers still run. */
  gate(id: string): Promise<GateProgress>;
  /** Closes a gate: nothing that it covers begins until somebody opens it; until, an RFC 3339 time, opens it by itself. */
  closeGate(covers: GateCovers, reason: string, options?: {id?: string; until?: string}): Promise<Gate>;
  /** Opens a gate: what it held back goes on. */
  openGate(id: string, reason?: string): Promise<Gate>;
  /** Cancels the open runs that a search finds, at most 1000; rate is in runs a second. redrive says how far it is. dryRun only says which runs they are. */
  cancelAll(where: string, options: ManyOptions & {dryRun: true}): Promise<RunsPreview>;
  cancelAll(where: string, options?: ManyOptions & {dryRun?: false}): Promise<Redrive>;
  /** Goes on, as new runs, from those that a search finds and that have failed, were aborted or cancelled; none is retried twice. */
  retryAll(where: string, options: ManyOptions & {dryRun: true}): Promise<RunsPreview>;
  retryAll(where: string, options?: ManyOptions & {dryRun?: false}): Promise<Redrive>;
  /** How far a cancelAll or retryAll is, and what became of each run. */
  redrive(id: string): Promise<Redrive>;
  /** Stops one; what is done stays done. */
  stopRedrive(id: string): Promise<Redrive>;
  /** Goes on with the runs that one has not reached. */
  resumeRedrive(id: string): Promise<Redrive>;
  /**
   * Writes the whole logs of runs that ended before a time into a file that is not there yet, and gives the runs that are in it. It was
   * checked and is on disk then. It is held in memory meanwhile: where narrows it.
   */
  archive(file: string, endedUntil: string | Date, options?: {where?: string}): Promise<ArchivedRun[]>;
  /** Removes from the log the runs of an archive, and says what became of each. archive says where it is kept, for the audit trail. */
  removeArchived(archive: string, runs: Pick<ArchivedRun, "id" | "sha256">[]): Promise<RemovedRun[]>;
  /** The passkeys that you have registered in the console, also those that were removed; an admin sees everybody's. */
  passkeys(): Promise<Passkey[]>;
  /** Removes a passkey: it approves nothing any more. */
  removePasskey(id: string): Promise<Passkey>;
  /** What waits for people, the most urgent first; without its context until it is loaded. With `run`, its id, the list is what its
   * log says; without it that comes a moment later, unless the run was waited for. */
  escalations(filters?: EscalationFilter): AsyncGenerator<Escalation, void, undefined>;
  /** One escalation with its whole context. */
  escalation(id: string): Promise<Escalation>;
  /** Decides an escalation; digest, for approve, is of what was looked at. */
  decide(id: string, verb: Verb, options?: Omit<Decision, "verb"> & {digest?: string; etag?: string; revision?: number}): Promise<Done>;
  /**
   * Passes every open escalation, with its whole context, to handler, and makes the decision that it returns; undefined
   * leaves it to others. claim claims each one first, and releases those that are left. Gives how many were decided; with
   * every it looks again and again, and never ends.
   */
  drain(handler: (e: Escalation) => Decision | undefined | Promise<Decision | undefined>, options?: EscalationFilter & {every?: number; claim?: boolean}): Promise<number>;
}

/** A run, as it was when it was last read. */
export class Run {
  readonly id: string;
  /** As `dispatcher runs show -o json` prints it; `dispatcher schema run` says what is in it. */
  document: Record<string, any>;
  readonly state: RunState;
  readonly output: any;
  /** Why it failed, was aborted or cancelled; empty if it was not. */
  readonly reason: string;
  /** Which results are not the first choice's, and why. */
  readonly degraded: {step: string; rung?: string; cause: string; age?: number}[];
  readonly steps: Record<string, any>[];
  /** Its steps with an agent that have begun: what their models were asked, said and called, and what of their limits they have used. */
  readonly agents: Agent[];
  /** What its models took together; undefined: it has called none. */
  readonly spent: Spent | undefined;
  /** The ids of those that wait for people. */
  readonly escalations: string[];
  readonly ended: boolean;
  private constructor();
  refresh(): Promise<this>;
  /**
   * Waits until it has ended, also while it waits for people; throws TimeoutError after timeout seconds. Where it goes on as another
   * run, under another plan, this becomes that run, and waits for its end.
   */
  wait(timeout?: number): Promise<this>;
  /** Waits until it has ended or only people can move it on; of a run that goes on as another one, as wait. */
  rest(timeout?: number): Promise<this>;
  /**
   * Yields the entries of its log so far, then each new one, until the run has ended. If the connection breaks, it resumes
   * after the last entry: none is lost, and none comes twice. follow: false yields only what is there now.
   */
  events(options?: {follow?: boolean; after?: number}): AsyncGenerator<Event, void, undefined>;
  /** What it waits for, and what will happen if nobody acts. */
  why(): Promise<Record<string, any>>;
  /** Continues this run, which has ended, as a new run, without its completed steps. */
  retry(reason?: string, options?: {key?: string; id?: string; traceparent?: string}): Promise<Run>;
  /**
   * Does this run, which has ended, again from a step on, as a new run that takes over the results of the others, with idempotency keys
   * of its own. again names the steps of which calls may be made again that had changed something; without them such a replay is
   * refused (BelayError, code confirm), with a list of the calls. input has other values than the run had, plan is another
   * version of its plan.
   */
  replay(from: string | string[], options?: Replaying & {reason?: string; key?: string; id?: string; traceparent?: string}): Promise<Run>;
  /** What would become of each step if this run were done again, and which calls would be made again. Changes nothing. */
  replayPlan(from: string | string[], options?: Replaying): Promise<Record<string, any>>;
  /**
   * Lets this run, which has not ended, go on under another plan, the name of one or a whole one, as another run that takes over what
   * is done. drop names steps that are done, and that the plan may do without. What does not fit is refused (BelayError, code
   * not_migratable), with a list of what is in the way; nothing is changed then.
   */
  migrate(plan: string | Record<string, any>, options?: {drop?: string[]; reason?: string; key?: string; id?: string; strict?: boolean}): Promise<Run>;
  /** What would become of each step if this run went on under that plan, and what is in the way. Changes nothing. */
  migrationPlan(plan: string | Record<string, any>, options?: {drop?: string[]}): Promise<Record<string, any>>;
  /** Ends it; completed steps are undone where plan or tools say how. Gives the effect in words. */
  cancel(reason?: string): Promise<string>;
  /**
   * Writes to an agent at work: its model reads it before it is asked the next time. takeBack is the number of a turn: that one
   * and all after it are taken back, with a message or without one. What was done in them stays done and is not made again.
   * Gives the effect in words.
   */
  steer(message?: string, options?: {step?: string; takeBack?: number}): Promise<string>;
}

/** How a run is done again. */
export interface Replaying {
  again?: string[];
  input?: Record<string, any>;
  plan?: string | Record<string, any>;
}

/** An entry of a run's log. */
export interface Event {
  /** Grows within a run. */
  seq: number;
  time: string;
  subject: string;
  /** submitted, started, succeeded, failed, decided, closed ...; empty: no program can read the entry. */
  type: string;
  /** The whole event; `dispatcher schema events` says what is in it. */
  data: Record<string, any>;
}

/** A question to people about a run. */
export class Escalation {
  /** What lists show. */
  item: Record<string, any>;
  /** The whole context (`dispatcher schema dossier`); empty until it is loaded. */
  dossier: Record<string, any>;
  etag: string;
  readonly id: string;
  readonly kind: EscalationKind;
  readonly state: EscalationState;
  readonly run: string;
  readonly step: string;
  readonly tool: string;
  readonly message: string;
  /** The verbs that are possible. */
  readonly allowed: Verb[];
  /** The parameters of the call that it is about, once it is loaded. */
  readonly params: any;
  /** The agent whose limit, turn or call it is about, with its last turns, once it is loaded; undefined where there is none. */
  readonly agent: Agent | undefined;
  /** What an approval approves; empty where none is asked for. */
  readonly digest: string;
  private constructor();
  /** Loads the whole context, as it is now. */
  load(): Promise<this>;
  /** Decides it as it was loaded; refused (code "changed" or "decided") if it is not that any more. */
  decide(verb: Verb, options?: Omit<Decision, "verb">): Promise<Done>;
  /** Tells others that you work on it. */
  claim(options?: {take?: boolean}): Promise<Done>;
  release(): Promise<Done>;
  note(text: string): Promise<Done>;
  assign(to: string): Promise<Done>;
  /** Pauses its notices until then; its deadline stays. */
  snooze(until: Date): Promise<Done>;
}

/** How much an agent may use, or has used. */
export interface AgentLimits {
  /** Times that the model is asked. */
  turns: number;
  /** Calls that it proposes, those that do not fit included. */
  calls: number;
  /** Read and written by the model. */
  tokens?: number;
  /** For the model; reserved before each turn. */
  usd?: number;
  /** Of work: without what people take; in seconds. */
  time?: number;
  /** Turns that propose the same. */
  repeats: number;
  /** Calls in a row that people have rejected. */
  refusals: number;
}

/** One question that a run has asked people: how long it waited for them, and what came of it. */
export interface Asked {
  /** RUN-N */
  id: string;
  kind: EscalationKind;
  state: EscalationState;
  /** Empty: the run itself. */
  step: string;
  /** That its step stood on. */
  rung?: string;
  /** What it is about, in words. */
  message: string;
  /** The log's time. */
  opened: string;
  /** Null while it is open. */
  ended: string | null;
  deadline: string | null;
  /** How many people must approve. */
  needed?: number;
  /** Who has. */
  approvals?: string[];
  /** What was decided. */
  decision?: Verb;
  by?: string;
  via?: string;
  /** In that person's words. */
  reason?: string;
}

/** What a person has written to an agent at work. */
export interface AgentNote {
  by: string;
  /** In that person's words; cut. */
  text: string;
  /** Number of the first turn that it takes back, and all after it up to this one. */
  takes_back?: number;
  /** The model has not been asked since. */
  unread?: boolean;
}

/** Who has taken back a turn of an agent: its model hears of it only what was done in it. */
export interface TakenBack {
  by: string;
  /** In that person's words; cut. */
  reason?: string;
  /** The log's time. */
  at: string;
}

/** A call that an agent has proposed, and what came of it. */
export interface AgentCall {
  /** The unit's id; undefined: it was not begun, because a limit is reached. */
  step?: string;
  /** Its name; the model's word for it where there is no such tool. */
  tool: string;
  /** As the model proposed them; a string where they are no JSON, or cut. */
  arguments: any;
  /** What a person made of them. */
  changed?: any;
  /** Where it stands; undefined: it was not begun. */
  state?: StepState;
  /** That it stands on. */
  rung?: string;
  /** What the model is told of it; cut. */
  result?: string;
  /** It is told that there is no result. */
  failed?: boolean;
  /** It is done, and stays done although its turn was taken back. */
  stays?: boolean;
  /** The call, in a turn taken back, whose result it shows; nothing was made again. */
  result_of?: string;
  /** How the result came about, where not as meant. */
  degraded?: string;
  /** The person who gave the result. */
  answer_by?: string;
  people?: Asked[];
  /** All its attempts, in seconds. */
  took?: number;
}

/** One time that an agent's model was asked. */
export interface AgentTurn {
  /** The unit's id. */
  step: string;
  /** From 1. */
  number: number;
  state: StepState;
  /** Of the model's tool. */
  rung: string;
  /** What the model said; cut. */
  said?: string;
  /** Why its answer was not taken; cut. */
  wrong?: string;
  /** That it proposes. */
  calls?: AgentCall[];
  /** That people wrote while it was the last turn; the next one begins with them. */
  notes?: AgentNote[];
  /** Who has taken it back; undefined while it counts. */
  taken_back?: TakenBack;
  /** Why another rung than the first has answered. */
  degraded?: string;
  /** The person who answered in the model's place. */
  answer_by?: string;
  /** Of the fault that it was given up for. */
  class?: string;
  /** Of that fault. */
  message?: string;
  people?: Asked[];
  /** All its attempts, in seconds. */
  took?: number;
  /** Read and written; where nobody knows, those that were reserved. */
  tokens?: number;
  /** In US dollars. */
  cost?: number;
}

/** What an agent's model reads in place of its first turns: another model has summarised them. */
export interface AgentSummary {
  /** The unit's id. */
  step: string;
  /** From 1. */
  number: number;
  state: StepState;
  /** Of the tool that makes it. */
  rung: string;
  /** Turns that had begun when it was asked for. */
  after: number;
  /** The first turn that it is made of, beside the summary before it. */
  first: number;
  /** The last turn that it stands for. */
  upto: number;
  /** Turns up to that one which are in no summary. */
  missing?: number;
  /** What it says; cut. Undefined: the agent goes on without it. */
  text?: string;
  /** It is the one that the agent's model reads now. */
  read?: boolean;
  /** Why another rung than the first has made it. */
  degraded?: string;
  /** The person who answered in the model's place. */
  answer_by?: string;
  /** Of the fault that it was given up for. */
  class?: string;
  /** Of that fault. */
  message?: string;
  people?: Asked[];
  /** All its attempts, in seconds. */
  took?: number;
  /** Read and written; where nobody knows, those that were reserved. */
  tokens?: number;
  /** In US dollars. */
  cost?: number;
}

/** An agent step: what it was asked, what its model said and called, and how much of its limits that took. Long texts are cut, and end with "…". */
export interface Agent {
  /** The unit's id. */
  step: string;
  /** The tool that asks the model. */
  model: string;
  state: StepState;
  /** What the model is told first. */
  instructions?: string;
  /** Its task. */
  prompt: string;
  /** Turns before the first one here. */
  earlier?: number;
  /** Oldest first. */
  turns: AgentTurn[];
  /** Of its first turns, oldest first. */
  summaries?: AgentSummary[];
  /** With what people have added; none where there is no number. */
  limits: AgentLimits;
  /** Of each limit; where nobody knows what a turn took, what was reserved for it counts. */
  used: AgentLimits;
  /** It is asked for the last time, without tools. */
  last?: boolean;
  /** What people were asked about its limits. */
  people?: Asked[];
}

/** What all calls of models in a run took together, as far as it was counted. */
export interface Spent {
  /** Tokens read, the cached ones included. */
  input: number;
  /** Tokens written. */
  output: number;
  /** Tokens of input that providers had kept from earlier calls. */
  cached?: number;
  /** In US dollars, by the prices that the run was submitted with. */
  usd?: number;
}

/** The params of extend: what an agent gets in addition to what it had. What is not named gets nothing. */
export interface More {
  turns?: number;
  calls?: number;
  tokens?: number;
  usd?: number;
  /** In seconds. */
  time?: number;
  repeats?: number;
  refusals?: number;
}

/** How far an agent of a plan may go. */
export interface PlanLimits {
  turns?: number;
  calls?: number;
  tokens?: number;
  usd?: number;
  /** Of work, like "10m". */
  time?: string;
  repeats?: number;
  refusals?: number;
}

/** What makes the summaries of an agent of a plan. */
export interface PlanSummary {
  /** The tool that asks the model. */
  model: string;
  /** Template of what a summary is to hold. */
  instructions?: string;
  /** Of one summary. */
  max_output_tokens?: number;
}

/** An agent of a plan, in place of a tool. */
export interface PlanAgent {
  /** The tool that asks the model. */
  model: string;
  /** Template of its task. */
  prompt: string;
  /** Template of what the model is told first. */
  instructions?: string;
  /** That it may call; * stands for any part of a name, and ask_person asks a person. */
  tools?: string[];
  /** Of its answer; without one that is {"text": ...}. */
  output_schema?: Record<string, unknown>;
  /** Of one turn. */
  max_output_tokens?: number;
  /** That the model is shown in full, the last ones. */
  keep_turns?: number;
  /** Bytes of a call's result that the model is shown. */
  keep_output?: number;
  /** Of the turns before those of keep_turns; undefined: they are left out. */
  summary?: PlanSummary;
  limits?: PlanLimits;
  on_limit?: "escalate" | "finish" | "fail";
}

/** A step of a plan: of a tool, or with an agent. */
export type PlanStep = StepOf & ({tool: string; agent?: never} | {agent: PlanAgent; tool?: never});

/** What a step has beside its tool or agent. */
export interface ManyOptions {
  reason?: string;
  rate?: number;
}

/** Which runs an order would be about. */
export interface RunsPreview {
  items: {id: string; state: RunState; workflow: string}[];
  total: number;
  /** Not all are in items: repeat the order for the rest. */
  more?: boolean;
  before?: number;
  short?: string;
}

/** An order about many runs, and how far it is. */
export interface Redrive {
  id: string;
  verb: string;
  state: "running" | "done" | "came_back" | "refused" | "stopped" | "interrupted";
  summary: string;
  items: {id: string; result: string; code?: string; detail?: string; was?: string; wave: number}[];
  by: string;
  started: string;
  ended?: string;
  reason?: string;
  where?: string;
  note?: string;
}

/** A run in an archive. */
export interface ArchivedRun {
  id: string;
  workflow: string;
  state: RunState;
  started: string;
  ended: string;
  entries: number;
  sha256: string;
}

/** What became of a run that was to be removed from the log. */
export interface RemovedRun {
  id: string;
  result: "removed" | "gone" | "kept" | "uncertain" | "not_reached";
  code?: string;
  detail?: string;
}

/** The public part of a passkey; credential and key are Base64. */
export interface Passkey {
  id: string;
  person: string;
  name?: string;
  origin: string;
  credential: string;
  key: string;
  made?: string;
  removed?: string;
  removed_by?: string;
}

/** What starts runs of a plan again and again. */
export interface Schedule {
  name: string;
  plan: string;
  cron: string;
  tz: string;
  /** In seconds, as catch_up_window. */
  jitter?: number;
  overlap: "skip" | "wait" | "queue" | "cancel" | "allow";
  catch_up: "none" | "last" | "all";
  catch_up_window: number;
  by: string;
  via?: string;
  since: string;
  /** Undefined while it fires. */
  paused?: {by: string; reason?: string; at: string};
  upto: string;
  /** The last ones, the newest first. */
  firings?: Firing[];
  /** Decided, and not yet a run. */
  waiting?: Firing[];
  missed?: {n: number; last: string};
  skipped?: {n: number; last: string};
  next?: string;
  /** Why its next run will not do well. */
  problem?: string;
}

export interface Firing {
  at: string;
  /** The id of its run. */
  run: string;
  /** Who has fired it by hand. */
  by?: string;
  /** Why there is no run. */
  error?: string;
  state?: RunState;
}

/** Which calls a gate is about: those that fit all that is given; * stands for any letters. */
export interface GateCovers {
  /** Every call; nothing else is given then. */
  all?: boolean;
  run?: string;
  plan?: string;
  tool?: string;
  /** Host that a call talks to. */
  target?: string;
  labels?: Record<string, string>;
}

export interface Gate {
  id: string;
  covers: GateCovers;
  by: string;
  via?: string;
  reason: string;
  since: string;
  until?: string;
  /** Undefined while it is closed. */
  opened?: {by?: string; via?: string; reason?: string; at: string};
}

/** A limit that calls count for at present. */
export interface Limit {
  id: string;
  why: string;
  covers: string;
  waiting: number;
  /** Of all kinds but concurrency: the same by priority, people, new and redone. */
  waiting_of?: Record<string, number>;
  most?: number;
  in_hand?: number;
  calls?: {attempt: string; since: string}[];
  waits?: {attempt: string; since: string; most: number; priority?: string; tenant?: string}[];
  rate?: string;
  per_sec?: number;
  next?: string;
  until?: string;
  run?: string;
  tool?: string;
}

/** A breaker that is not closed: no call goes to its target, one as a probe, or more of them every second. */
export interface Breaker {
  tool: string;
  rung: string;
  host?: string;
  state: "open" | "half_open" | "ramp";
  settings: {failures: number; min: number; window: number; open: number; max_hold: number; retries: number};
  since: string;
  from: string;
  until: string;
  calls: number;
  failed: number;
  fault?: string;
  probe?: string;
  probes: number;
}

/** What came of calls. Times of a length are in seconds. */
export interface HowItGoes {
  at: string;
  since?: string;
  window?: number;
  tools: ToolOutcome[];
  spikes: {id: string; kind: string; tool?: string; cause?: string; text: string; quote?: string; since: string; calm?: string; over?: string; notified?: string}[];
}

/** What came of the calls of a tool; share is null without results, objective without an slo. */
export interface ToolOutcome {
  tool: string;
  window: number;
  results: number;
  primary: number;
  degraded: number;
  failed: number;
  people: number;
  share: number | null;
  rungs: {rung: string; gave: number; answered: number; faulted: number; known?: string; last?: string; tried?: string; dead?: string; silent?: boolean; removed?: boolean}[];
  decisions: {asked: number; decided: number; late: number; p50: number; p95: number};
  changed?: string;
  objective: {primary: number; window: number; decision?: number; met: boolean; budget: number; burn: Record<"5m" | "30m" | "1h" | "6h" | "1d", number>} | null;
}

/** One way to fail; trend is how often it was seen on each of the last 14 days, today last. */
export interface Cause {
  id: string;
  tool: string;
  class: string;
  reason?: string;
  message: string;
  sample: string;
  rung?: string;
  run: string;
  first: string;
  last: string;
  count: number;
  days: Record<string, number>;
  trend: number[];
  new: boolean;
}

/** A gate, with what it holds back and what that it covers still runs. */
export interface GateProgress extends Gate {
  silent: number[];
  waits: number;
  runs: number;
  which: string[];
  held: number;
  drained: string | null;
}

export interface StepOf {
  id: string;
  /** Ids of the steps that it waits for; undefined: the one before it. */
  needs?: string[];
  /** Expression: the step is skipped where it is not true. */
  when?: string | boolean;
  /** Parameters of the tool, as templates. */
  with?: Record<string, unknown> | string;
  /** Template of a list: the step is one for each item. */
  for_each?: string;
  max_parallel?: number;
  on_failure?: "escalate" | "skip" | "fail";
  /** What undoes it, in place of what its tools say; "none": nothing does. */
  compensate?: {tool: string; with?: Record<string, unknown> | string} | "none";
}

/** A whole plan, as submit takes it; `dispatcher schema plan` says what each key means. */
export interface Plan {
  name: string;
  steps: PlanStep[];
  /** Defaults. */
  input?: Record<string, unknown>;
  input_schema?: Record<string, unknown>;
  /** Of the run, like "10m". */
  deadline?: string;
  on_deadline?: "escalate" | "fail";
  escalate_after?: number;
  labels?: Record<string, string>;
  /** Template. */
  output?: unknown;
  waivers?: {code: string; step?: string; reason: string; until: string}[];
}

/** One attempt of a step. */
export interface Call {
  run: string; step: string; attempt: string; tool: string; rung: string; params: any;
  /** The idempotency key: pass it on to whatever acts. */
  key: string;
  /** Headers that show people's approval: send them to whatever acts. Absent where nobody was asked. */
  grant?: Record<string, string>;
  /** Counts from 1 on this rung. */
  try: number;
  /** Seconds from the beginning. */
  timeout: number | null;
  deadline: string | null;
  /** Aborted once the call is not wanted any more. */
  signal: AbortSignal;
  /** Says how far it is; people read it. */
  progress(text: string): void;
  /** Throws Stopped if the call is not wanted any more. "no": certainly nothing has happened in the world yet. */
  check(acted?: "no" | "maybe"): void;
  /** Waits, shorter if the call is not wanted any more; whether it still is. */
  pause(seconds: number): Promise<boolean>;
}

export interface How {
  /** A class of docs/protocol.md. */
  failureClass?: string;
  /** "no": certainly nothing happened in the world. */
  acted?: "no" | "maybe";
  retryAfter?: number;
  /** Evidence for people. */
  detail?: string;
  needHuman?: boolean;
}
/** The call did not work. */
export class Failure extends Error { constructor(message: string, how?: How) }
/** Trying it again would not help; the next rung is tried. */
export class Permanent extends Failure {}
/** It may work next time. Of a tool with unsafe effects it is an unknown outcome; see NothingHappened. */
export class Retry extends Failure {}
/** It failed, and certainly nothing happened in the world: it is tried again whatever the effects of the tool. */
export class NothingHappened extends Retry {}
/** The other side asks to wait, and has done nothing. It does not count as a failed try. */
export class RetryAfter extends NothingHappened { constructor(seconds: number, message?: string, how?: How) }
/** A person is asked at once, whatever rungs are left. */
export class NeedHuman extends Failure {}
/** The call is not wanted any more; Call.check throws it. */
export class Stopped extends Retry {}

/** Makes a function execute a tool, or one rung of it (TOOL/RUNG). What it returns is the output. */
export function tool<P = any>(name: string, f: (params: P, call: Call) => unknown): void;
/**
 * Executes calls until SIGTERM or SIGINT, then finishes what it has begun. url is what the worker's --work-listen says:
 * http://127.0.0.1:7480 (the default; BELAY_WORK_URL) or unix:/PATH. token is in BELAY_WORK_TOKEN, or in the file that the
 * worker makes.
 */
export function work(options?: {url?: string; token?: string; tools?: string[]; concurrency?: number; name?: string}): Promise<void>;

/** How a play ended. toString() says what happened, line by line. */
export class Ending {
  private constructor();
  /** Of the run. */
  state: RunState;
  /** step.rung */
  degraded: string[];
  /** "unknown of refund", the first one first. */
  asked: string[];
  /** How often each tool has had its effect. */
  effects: Record<string, number>;
  /** Seconds of work; people's time is left out. */
  took: number;
  lines: {at: number; who: string; text: string}[];
}

/**
 * One play of a plan on a virtual clock, for tests: no server, no tool is called, and hours take no time. The program
 * dispatcher must be in PATH, or named by BELAY_DISPATCHER. What tools give is made up where returns does not say it.
 */
export class Play {
  constructor(plan: string, options?: {tools?: string; input?: Record<string, unknown>});
  /** What the calls of a step give, or those of a tool. */
  returns(step: string, value: unknown): this;
  /** Lets so many calls of a step fail, 0 for all; a rung that is not the first is named step.rung. acted: the call has had its effect before it failed. */
  fail(at: string, failureClass: string, times?: number, how?: {acted?: boolean}): this;
  /** Lets one of a drill's faults befall so many calls: killed-after, late, no-worker, 503 and so on. */
  suffer(at: string, fault: string, times?: number): this;
  /** What people decide, one question after the other; "none" is nobody. */
  person(...verbs: (Verb | "none")[]): this;
  /** Plays it. An effect that is lost or doubled, or a run that is stuck, is an Error; what cannot be played is a TypeError that says why. */
  run(): Promise<Ending>;
}
