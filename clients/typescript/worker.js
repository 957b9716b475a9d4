// A worker: functions that execute the remote rungs of tools. docs/protocol.md says what is sent.
import {readFileSync} from "node:fs";
import {homedir} from "node:os";
import {join} from "node:path";
import {setTimeout as sleep} from "node:timers/promises";
import {BelayError, request} from "./http.js";

const pollSeconds = 30;
const longestPause = 5000; // milliseconds between two requests of which the first failed
const kept = 540_000; // milliseconds for which an outcome that cannot be sent is sent again

export class Failure extends Error {
  constructor(message, {failureClass = "tool_error", acted = "maybe", retryAfter, detail, needHuman, ...options} = {}) {
    super(message, options);
    Object.assign(this, {failureClass, acted, retryAfter, detail, needHuman});
  }
}
export class Permanent extends Failure {}
export class Retry extends Failure {
  constructor(message, more) { super(message, {failureClass: "unavailable", ...more}); }
}
export class NothingHappened extends Retry {
  constructor(message, more) { super(message, {acted: "no", ...more}); }
}
export class RetryAfter extends NothingHappened {
  constructor(seconds, message = "the other side asks to wait", more) {
    super(message, {failureClass: "rate_limited", retryAfter: seconds, ...more});
  }
}
export class NeedHuman extends Failure {
  constructor(message, more) { super(message, {failureClass: "needs_human", needHuman: true, ...more}); }
}

export class Stopped extends Retry {}

const functions = new Map();

export function tool(name, f) {
  if (functions.has(name)) throw new TypeError(`${name} has a function already`);
  functions.set(name, f);
}

// work executes calls until SIGTERM or SIGINT, then finishes what it has begun.
export async function work({url = process.env.BELAY_WORK_URL || "http://127.0.0.1:7480", token, tools = [...functions.keys()], concurrency = 1, name = `node-${process.pid}`} = {}) {
  if (tools.length === 0) throw new TypeError("no function has been registered; call tool(NAME, f)");
  const missing = tools.filter((t) => !functions.has(t));
  if (missing.length) throw new TypeError(`no function has been registered for ${missing.join(", ")}`);
  const secret = url.startsWith("unix:") ? undefined : token || process.env.BELAY_WORK_TOKEN || storedToken();
  const stopping = new AbortController();
  const worker = {name, tools, stopping, polls: new Set(), post: (path, body, more) => request(url, secret, "POST", `/work/${path}`, body, more)};
  const stop = () => {
    stopping.abort();
    for (const poll of worker.polls) poll.socket?.end(); // half: a call that is on its way still comes, and is executed
  };
  for (const signal of ["SIGTERM", "SIGINT"]) process.on(signal, stop);
  try {
    const slots = Array.from({length: concurrency}, () => slot(worker).catch((e) => { stop(); throw e; }));
    const failed = (await Promise.allSettled(slots)).find((s) => s.status === "rejected");
    if (failed) throw failed.reason;
  } finally {
    for (const signal of ["SIGTERM", "SIGINT"]) process.off(signal, stop);
  }
}

function storedToken() {
  try {
    return readFileSync(join(process.env.XDG_STATE_HOME || join(homedir(), ".local/state"), "belay/work-token"), "utf8").trim();
  } catch {
    return undefined;
  }
}

async function slot(worker) {
  const {signal} = worker.stopping;
  for (let pause = 100; !signal.aborted; ) {
    try {
      const call = await poll(worker);
      pause = 100;
      if (call) await execute(worker, call);
    } catch (e) {
      if (signal.aborted) return;
      if (!(e instanceof BelayError) || !e.retryable) throw e;
      if (pause === 100) console.warn(`no work: ${e.message}`);
      await sleep(pause, undefined, {signal}).catch(() => {});
      pause = Math.min(2 * pause, longestPause);
    }
  }
}

async function poll(worker) {
  let mine;
  const started = (sent) => {
    mine = sent;
    worker.polls.add(sent);
    const early = (socket) => socket.once("connect", () => worker.stopping.signal.aborted && socket.end());
    sent.once("socket", early);
  };
  try {
    const body = {tools: worker.tools, worker: worker.name, wait: pollSeconds};
    const answer = await worker.post("poll", body, {timeout: pollSeconds + 15, started});
    return answer.status === 200 && answer.text ? JSON.parse(answer.text) : undefined;
  } finally {
    worker.polls.delete(mine);
  }
}

async function execute(worker, call) {
  const unwanted = new AbortController();
  call.signal = unwanted.signal;
  call.check = (acted = "maybe") => {
    if (unwanted.signal.aborted) throw new Stopped(unwanted.signal.reason.message, {acted});
  };
  call.pause = (seconds) => sleep(seconds * 1000, true, {signal: unwanted.signal}).catch(() => false);
  let progress;
  call.progress = (text) => { progress = text; };
  const beat = async () => {
    try {
      const said = progress === undefined ? {} : {progress};
      const {stop, reason} = JSON.parse((await worker.post(`${call.lease}/beat`, said, {timeout: call.beat_every + 1})).text);
      if (stop) unwanted.abort(new Retry(reason || "stopped"));
    } catch (e) {
      if (!e.retryable) unwanted.abort(new Retry(e.message));
    }
  };
  const beats = setInterval(beat, call.beat_every * 1000);
  try {
    const [how, body] = await outcome(call);
    await say(worker, call, how, body);
  } finally {
    clearInterval(beats);
  }
}

async function outcome(call) {
  try {
    const f = functions.get(`${call.tool}/${call.rung}`) ?? functions.get(call.tool);
    const output = (await f(call.params, call)) ?? null;
    if (JSON.stringify(output) === undefined) throw new Failure("the function returned what is not JSON", {failureClass: "invalid_output"});
    return ["succeed", {output}];
  } catch (e) {
    if (e instanceof Failure) {
      return ["fail", {class: e.failureClass, message: e.message.slice(0, 2000), acted: e.acted, retry_after: e.retryAfter, detail: e.detail?.slice(0, 4000), need_human: e.needHuman}];
    }
    return ["fail", {class: "tool_error", message: String(e).slice(0, 2000), detail: e?.stack?.slice(0, 4000)}];
  }
}

// say reports how the call ended, again and again until the worker has it; repeating it does no harm.
async function say(worker, call, how, body) {
  for (let pause = 100, end = Date.now() + kept; ; pause = Math.min(2 * pause, longestPause)) {
    try {
      await worker.post(`${call.lease}/${how}`, body, {timeout: 30});
      return;
    } catch (e) {
      if (e.code === "invalid_request" && how === "fail" && body.class !== "tool_error") {
        body = {class: "tool_error", message: `${body.message} (${e.detail})`.slice(0, 2000), acted: body.acted}; // no such class, or the like
        continue;
      }
      if (!e.retryable || Date.now() > end) {
        console.warn(`${call.run}/${call.step}: the worker did not take ${how}: ${e.message}`);
        return;
      }
    }
    await sleep(pause);
  }
}
