// Runs: waiting for them, following them, ending them.
import {setTimeout as sleep} from "node:timers/promises";
import {BelayError, Patience} from "./http.js";

const longestWait = 30; // seconds that one request waits for a run
const silence = 45; // seconds without a sign of life after which a stream is broken; the server gives one every 15
const ended = new Set(["succeeded", "degraded", "failed", "aborted", "cancelled", "migrated"]);

export class TimeoutError extends Error {
  constructor(message, options) {
    super(message, options);
    this.name = "TimeoutError";
  }
}

export class Run {
  constructor(belay, id, document = {}) {
    Object.defineProperty(this, "belay", {value: belay, enumerable: false});
    Object.assign(this, {id, document});
  }

  get state() { return this.document.state; }
  get output() { return this.document.output; }
  get reason() { return this.document.reason ?? ""; }
  get degraded() { return this.document.degraded; }
  get steps() { return this.document.steps; }
  get agents() { return this.document.agents ?? []; }
  get spent() { return this.document.spent; }
  get escalations() { return this.document.escalations; }
  get ended() { return ended.has(this.state); }

  async refresh() {
    this.document = await this.belay.json("GET", this.path());
    return this;
  }

  wait(timeout) { return this.until(() => this.ended, timeout); }
  rest(timeout) { return this.until(() => this.ended || this.state === "waiting", timeout); }

  async *events({follow = true, after = 0} = {}) {
    if (!follow) {
      const {text} = await this.belay.send("GET", this.path("/events"));
      for (const line of text.split("\n").filter(Boolean)) if (eventOf(line).seq > after) yield eventOf(line);
      return;
    }
    for (const patience = new Patience(this.belay.patience); ; ) {
      const headers = after ? {"Last-Event-ID": String(after)} : {};
      try {
        for await (const [kind, data] of this.belay.stream(this.path("/events"), {timeout: silence, headers})) {
          patience.worked();
          if (kind === "end") {
            await this.refresh();
            return;
          }
          if (kind === "frozen") throw new BelayError(409, {code: "frozen", title: "The run is frozen", detail: JSON.parse(data).detail});
          const event = eventOf(data);
          if (event.seq <= after) continue;
          after = event.seq;
          yield event;
        }
      } catch (e) {
        await patience.failed(e);
      }
    }
  }

  why() { return this.belay.json("GET", this.path("/why")); }
  retry(reason, options) { return this.belay.start(this.path("/retry"), {reason}, options); }
  replay(from, {again, input, plan, reason, ...options} = {}) {
    return this.belay.start(this.path("/replay"), {from: [from].flat(), again, input, plan, reason}, options);
  }

  replayPlan(from, {again, input, plan} = {}) {
    return this.belay.json("POST", this.path("/replay"), {from: [from].flat(), again, input, plan, dry_run: true});
  }

  migrate(plan, {drop, reason, ...options} = {}) {
    return this.belay.start(this.path("/migrate"), {plan, drop, reason}, options);
  }

  migrationPlan(plan, {drop} = {}) {
    return this.belay.json("POST", this.path("/migrate"), {plan, drop, dry_run: true});
  }

  async cancel(reason) { return (await this.belay.json("POST", this.path("/cancel"), {reason})).effect; }

  async steer(text = "", {step = "", takeBack} = {}) {
    const message_id = globalThis.crypto.randomUUID();
    return (await this.belay.json("POST", this.path("/steer"), {text, step, message_id, take_back: takeBack})).effect;
  }

  async until(reached, timeout = Infinity) {
    const end = Date.now() + timeout * 1000;
    const left = () => Math.max(0, (end - Date.now()) / 1000);
    for (;;) {
      try {
        await this.look(Math.min(longestWait, left()), left());
      } catch (e) {
        if (!e.retryable || left() > 0) throw e;
        throw new TimeoutError(`run ${this.id}: ${e.message}`, {cause: e});
      }
      if (reached() && !this.document.goes_on_as) return this;
      if (left() === 0) throw new TimeoutError(`run ${this.id} is still ${this.state}`);
      if (this.state === "waiting" || this.state === "migrated") await sleep(Math.min(500, left() * 1000)); // the server does not wait for that
    }
  }

  // look looks again once it rests, or after that many seconds.
  async look(seconds, patience) {
    this.document = await this.belay.json("GET", this.path(`?wait=${Math.floor(seconds * 1000)}ms`), undefined, {waits: seconds, patience});
    if (this.document.goes_on_as) await this.become(this.document.goes_on_as, patience);
  }

  // become turns into the run that this one goes on as, once a dispatcher has submitted that.
  async become(id, patience) {
    try {
      const document = await this.belay.json("GET", `/api/v1/runs/${encodeURIComponent(id)}`, undefined, {patience});
      if (document.migrates?.run === this.id) Object.assign(this, {id, document}); // or it has taken the id, and this one goes on under another one
    } catch (e) {
      if (e.code !== "no_run") throw e;
    }
  }

  path(more = "") { return `/api/v1/runs/${encodeURIComponent(this.id)}${more}`; }
}

function eventOf(line) {
  const {seq, time, subject, event} = JSON.parse(line);
  const data = event && typeof event === "object" ? event : {};
  return {seq, time, subject, type: String(data.type ?? ""), data};
}
