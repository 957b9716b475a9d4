// What users write; it is compiled, never run. A line behind @ts-expect-error must be refused.
import {Belay, BelayError, Permanent, Retry, RetryAfter, NeedHuman, NothingHappened, TimeoutError, tool, work} from "belay";
import type {Call, Decision, Escalation, Event, Run} from "belay";

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
