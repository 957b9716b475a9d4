// What users write; it is compiled, never run. A line behind @ts-expect-error must be refused.
import {Belay, BelayError, Permanent, Retry, RetryAfter, NeedHuman, NothingHappened, TimeoutError, tool, work} from "belay";
import type {Agent, AgentCall, ArchivedRun, Call, Decision, Escalation, Event, More, Passkey, Plan, Redrive, RemovedRun, Run, RunsPreview, TakenBack} from "belay";

const belay = new Belay("http://127.0.0.1:8222", "belay_...", {timeout: 10, patience: 120});

export async function order(id: string): Promise<number> {
  const run: Run = await belay.submit("refund", {order: id}, {key: `refund-${id}`, labels: {team: "payments"}});
  for await (const e of run.events()) {
    const event: Event = e;
    console.log(event.seq, event.type, event.data["step"]);
  }
  await run.wait(60);
  if (run.state === "failed") throw new Error(run.reason);
  for (const {step, rung, cause} of run.degraded) console.log(step, rung ?? "its input", cause);
  return run.output.cents;
}

export async function mistakes(): Promise<void> {
  try {
    await belay.submit({name: "wrong", steps: []});
  } catch (e) {
    if (e instanceof BelayError && e.code === "invalid_plan") for (const {line, message, hint} of e.errors) console.log(line, message, hint);
    else if (e instanceof TimeoutError) console.log(e.message);
    else throw e;
  }
  await belay.submit("refund", {}, {strict: true});
  // @ts-expect-error: strict is true or false
  await belay.submit("refund", {}, {strict: "yes"});
  // @ts-expect-error: a plan is a name or an object
  await belay.submit(7);
  // @ts-expect-error: there is no such state
  await belay.runs({state: "done"});
  // @ts-expect-error: only the client makes runs
  new BelayError();
}

export async function people(): Promise<number> {
  for await (const e of belay.escalations({kind: "approval", tool: "payments.refund"})) {
    await e.load();
    if (e.allowed.includes("approve") && e.params.cents < 500) await e.decide("approve", {reason: "below 5 EUR"});
    else await e.claim();
    // @ts-expect-error: there is no such verb
    await e.decide("accept");
  }
  const rule = (e: Escalation): Decision | undefined => (e.kind === "question" ? {verb: "answer", answer: {parcel: 7}} : undefined);
  return belay.drain(rule, {claim: true, tool: "desk"});
}

const support: Plan = {
  name: "support",
  input: {ticket: ""},
  steps: [{
    id: "resolve",
    agent: {model: "models.support", prompt: "${ input.ticket }", tools: ["orders.lookup", "ask_person"], keep_turns: 10, summary: {model: "models.small"}, limits: {turns: 12, usd: 0.5, time: "10m"}, on_limit: "escalate"},
  }, {id: "close", tool: "tickets.close", with: {text: "${ steps.resolve.output.text }"}}],
};
// @ts-expect-error: a step has a tool or an agent
const nothing: Plan = {name: "nothing", steps: [{id: "a"}]};
// @ts-expect-error: an agent's time is a text in a plan
const timed: Plan = {name: "timed", steps: [{id: "a", agent: {model: "m", prompt: "p", limits: {time: 600}}}]};

export async function agents(): Promise<number> {
  const run = await (await belay.submit(support, {ticket: "The cup is broken."})).rest(60);
  const words: string = await run.steer("Send a new one instead.", {step: "resolve"});
  const back: string = await run.steer("That was another customer.", {takeBack: 3}) + await run.steer("", {takeBack: 2});
  const taken: TakenBack[] = run.agents.flatMap(({turns}) => turns.flatMap(({taken_back}) => taken_back ?? []));
  console.log(back, taken.map(({by, reason, at}) => `${by} ${reason ?? ""} ${at}`));
  const calls: AgentCall[] = run.agents.flatMap(({turns}) => turns.flatMap((turn) => turn.calls ?? []));
  for (const {tool, arguments: given, changed, result, failed, people} of calls) console.log(words, tool, changed ?? given, failed ? "failed" : result, people?.[0]?.decision);
  const agent: Agent | undefined = run.agents[0];
  const noted = agent?.summaries?.filter(({read}) => read).map(({upto, text}) => `${upto}: ${text ?? "none"}`);
  const unread = agent?.turns.flatMap(({notes}) => notes ?? []).filter((note) => note.unread).map(({by, text}) => `${by}: ${text}`);
  console.log(agent?.used.usd ?? 0, agent?.limits.usd ?? "no limit", unread, noted, run.spent?.input);
  // @ts-expect-error: there is no such limit
  const wrong: More = {turn: 1};
  const more: More = {turns: 5, usd: 0.5, time: 600};
  const rule = (e: Escalation): Decision | undefined => {
    if (e.kind !== "limit" || !e.agent) return undefined;
    if (e.agent.used.turns < 40) return {verb: "extend", params: more};
    return e.allowed.includes("finish") ? {verb: "finish"} : {verb: "answer", answer: {text: "A person takes over."}};
  };
  return belay.drain(rule);
}

export async function many(): Promise<number> {
  const preview: RunsPreview = await belay.cancelAll("refund state:waiting", {dryRun: true});
  const order: Redrive = await belay.retryAll("refund state:failed", {reason: "mended", rate: 5});
  const runs: ArchivedRun[] = await belay.archive("runs.jsonl", new Date(), {where: "refund"});
  const removed: RemovedRun[] = await belay.removeArchived("s3://backup/runs.jsonl", runs);
  // @ts-expect-error: a preview is no order
  const none: Redrive = await belay.cancelAll("refund", {dryRun: true});
  const keys: Passkey[] = await belay.passkeys();
  return preview.total + order.items.length + removed.filter(({result}) => result === "removed").length + keys.length;
}

tool("invoice.add", async ({lines}: {lines: {cents: number}[]}, call: Call) => {
  call.progress("adding");
  call.check("no");
  if (lines.length === 0) throw new Permanent("no lines", {failureClass: "invalid_input"});
  if (lines.some(({cents}) => cents < 0)) throw new NeedHuman("it has a credit in it", {acted: "no"});
  if (call.try > 3) throw new RetryAfter(2.5);
  if (!(await call.pause(0.1))) throw new Retry("stopped");
  if (call.timeout !== null && call.timeout < 1) throw new NothingHappened("too little time");
  return {cents: lines.reduce((sum, {cents}) => sum + cents, 0), key: call.key};
});
await work({url: "unix:/run/belay/work.sock", concurrency: 8, tools: ["invoice.add"]});
