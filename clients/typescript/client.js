// A dispatcher over its HTTP API (/openapi.json): what is started, looked at and decided there.
import {createHash} from "node:crypto";
import {open} from "node:fs/promises";
import {setTimeout as sleep} from "node:timers/promises";
import {BelayError, Patience, events, request} from "./http.js";
import {Escalation} from "./people.js";
import {Run} from "./run.js";

const largestPage = 1000; // items
const repeated = 5; // seconds for which a request is repeated that may be
const taken = ["no_escalation", "decided", "changed", "approved", "claimed", "not_allowed"]; // somebody else was faster

export class Belay {
  constructor(url = process.env.BELAY_URL, token = process.env.BELAY_API_TOKEN, {timeout = 30, patience = 60} = {}) {
    if (!url) throw new TypeError("no URL; give the one that `dispatcher dev` prints as console, or set BELAY_URL");
    Object.assign(this, {url, token, timeout, patience});
  }

  submit(plan, input, {labels, at, in: later, ...more} = {}) {
    return this.start("/api/v1/runs", {plan, input, labels, at, in: later}, more);
  }

  async call(tool, params, {labels, timeout, ...more} = {}) {
    const run = await this.start("/api/v1/calls", {tool, params, labels}, more);
    return run.rest(timeout);
  }

  async start(path, order, {key, id, traceparent, strict} = {}) {
    const headers = {...(key && {"Idempotency-Key": key}), ...(traceparent && {traceparent})};
    const document = await this.json("POST", path + (strict ? "?strict=true" : ""), {...order, id}, {headers, repeatable: Boolean(key || id)});
    return new Run(this, document.id, document);
  }

  run(id) {
    return new Run(this, id).refresh();
  }

  async runs({limit = 100, labels, input, ...filters} = {}) {
    Object.assign(filters, {label: pairs(labels), input: pairs(input)});
    const found = [];
    for (let after; found.length < limit; ) {
      const page = await this.json("GET", "/api/v1/runs" + query({...filters, limit: Math.min(limit - found.length, largestPage), after}));
      found.push(...page.items);
      if (!(after = page.next)) break;
    }
    return found;
  }

  async workers() {
    return (await this.json("GET", "/api/v1/workers")).items;
  }

  async doctor() {
    return this.json("GET", "/api/v1/doctor");
  }

  async breakers() {
    return (await this.json("GET", "/api/v1/breakers")).items;
  }

  async schedules() {
    return (await this.json("GET", "/api/v1/schedules")).items;
  }

  async schedule(name) {
    return this.json("GET", `/api/v1/schedules/${encodeURIComponent(name)}`);
  }

  async addSchedule(plan, cron, {name, input, labels, tz, jitter, overlap, catchUp, catchUpWindow, replace} = {}) {
    return this.json("POST", "/api/v1/schedules", {name, plan, cron, input, labels, tz, jitter, overlap, catch_up: catchUp, catch_up_window: catchUpWindow, replace});
  }

  async pauseSchedule(name, reason = "") {
    return this.json("POST", `/api/v1/schedules/${encodeURIComponent(name)}/pause`, {reason});
  }

  async resumeSchedule(name, reason = "") {
    return this.json("POST", `/api/v1/schedules/${encodeURIComponent(name)}/resume`, {reason});
  }

  async fireSchedule(name) {
    return this.json("POST", `/api/v1/schedules/${encodeURIComponent(name)}/fire`, {});
  }

  async removeSchedule(name, reason = "") {
    return this.json("DELETE", `/api/v1/schedules/${encodeURIComponent(name)}`, {reason});
  }

  async limits() {
    return (await this.json("GET", "/api/v1/limits")).items;
  }

  async limit(id) {
    return this.json("GET", "/api/v1/limits/" + encodeURIComponent(id));
  }


  async slo({window = ""} = {}) {
    return this.json("GET", "/api/v1/slo" + (window ? `?window=${encodeURIComponent(window)}` : ""));
  }

  async causes({tool = "", isNew = false} = {}) {
    return (await this.json("GET", `/api/v1/causes?tool=${encodeURIComponent(tool)}` + (isNew ? "&new=true" : ""))).items;
  }

  async gates({all = false} = {}) {
    return (await this.json("GET", "/api/v1/gates" + (all ? "?all=true" : ""))).items;
  }

  async gate(id) {
    return this.json("GET", `/api/v1/gates/${encodeURIComponent(id)}`);
  }

  async closeGate(covers, reason, {id, until} = {}) {
    return this.json("POST", "/api/v1/gates", {id, covers, reason, until});
  }

  async openGate(id, reason = "") {
    return this.json("POST", `/api/v1/gates/${encodeURIComponent(id)}/open`, {reason});
  }

  cancelAll(where, options) { return this.all("cancel", where, options); }
  retryAll(where, options) { return this.all("retry", where, options); }

  all(verb, where, {reason, rate, dryRun} = {}) {
    return this.json("POST", `/api/v1/runs/${verb}`, {where, reason, rate, dry_run: dryRun});
  }

  redrive(id) { return this.json("GET", `/api/v1/redrives/${encodeURIComponent(id)}`); }
  stopRedrive(id) { return this.json("POST", `/api/v1/redrives/${encodeURIComponent(id)}/stop`, {}); }
  resumeRedrive(id) { return this.json("POST", `/api/v1/redrives/${encodeURIComponent(id)}/resume`, {}); }

  async archive(file, endedUntil, {where} = {}) {
    const until = endedUntil instanceof Date ? endedUntil.toISOString() : endedUntil;
    const {text} = await this.send("GET", "/api/v1/archive" + query({ended_until: until, where}));
    const runs = archived(text);
    const to = await open(file, "wx");
    try {
      await to.writeFile(text);
      await to.sync();
    } finally {
      await to.close();
    }
    return runs;
  }

  async removeArchived(archive, runs) {
    const became = [];
    for (let i = 0; i < runs.length; i += largestPage) {
      const items = runs.slice(i, i + largestPage).map(({id, sha256}) => ({id, sha256}));
      const {text} = await this.send("POST", "/api/v1/archive/remove", {archive, items}, {repeatable: true});
      became.push(...JSON.parse(text).items);
    }
    return became;
  }

  async passkeys() {
    return (await this.json("GET", "/api/v1/passkeys")).items;
  }

  removePasskey(id) { return this.json("DELETE", `/api/v1/passkeys/${encodeURIComponent(id)}`); }

  async *escalations({failureClass, ...filters} = {}) {
    for (let after; ; ) {
      const page = await this.json("GET", "/api/v1/escalations" + query({...filters, class: failureClass, after}));
      for (const item of page.items) yield new Escalation(this, item);
      if (!(after = page.next)) return;
    }
  }

  escalation(id) {
    return new Escalation(this, {id}).load();
  }

  decide(id, verb, {etag, ...body} = {}) {
    return this.act(id, verb, body, etag);
  }

  // drain shows every escalation to handler, and decides as it says; what others decide meanwhile is left alone.
  async drain(handler, {every, claim = false, ...filters} = {}) {
    const left = new Set();
    for (let decided = 0; ; ) {
      const all = [];
      for await (const e of this.escalations(filters)) all.push(e);
      for (const e of all) {
        try {
          await e.load();
          const seen = `${e.id} ${e.etag}`;
          if (left.has(seen) || e.state !== "open") continue;
          if (await show(handler, e, claim)) decided++;
          else left.add(seen);
        } catch (problem) {
          if (!taken.includes(problem.code)) throw problem;
        }
      }
      if (every === undefined) return decided;
      await sleep(every * 1000);
    }
  }

  act(id, verb, body, etag) {
    const headers = etag ? {"If-Match": etag} : {};
    return this.json("POST", `/api/v1/escalations/${encodeURIComponent(id)}/${encodeURIComponent(verb)}`, body, {headers});
  }

  async json(...args) {
    return JSON.parse((await this.send(...args)).text);
  }

  // send repeats a request where that may help. Without an answer only what may be repeated is: a get, and what repeatable
  // says. waits is how long the request asks the server to wait.
  async send(method, path, body, {headers, repeatable = method === "GET", waits = 0, patience = repeated} = {}) {
    for (const left = new Patience(Math.min(patience, this.patience)); ; ) {
      try {
        return await request(this.url, this.token, method, path, body, {headers, timeout: waits + this.timeout});
      } catch (e) {
        if (e.status === 0 && !repeatable) throw e;
        await left.failed(e);
      }
    }
  }

  stream(path, options) {
    return events(this.url, this.token, path, options);
  }
}

// archived gives the runs of an archive, if it is whole.
function archived(text) {
  const at = text.lastIndexOf("\n", text.length - 2) + 1;
  const end = text.endsWith("\n") ? JSON.parse(text.slice(at)).end : undefined;
  if (end?.sha256 !== createHash("sha256").update(text.slice(0, at)).digest("hex")) {
    throw new BelayError(0, {code: "damaged", title: "The archive is not whole", detail: "its last line is missing, or is of another one", retryable: true});
  }
  return text.split("\n").filter((line) => line.startsWith('{"run":')).map((line) => JSON.parse(line).run);
}

// show shows one escalation to handler; whether that has decided it.
async function show(handler, e, claim) {
  if (claim) await e.claim();
  let decision;
  try {
    decision = await handler(e);
  } finally {
    if (claim && !decision) await e.release();
  }
  if (!decision) return false;
  const {verb, ...more} = decision;
  await e.decide(verb, more);
  return true;
}

const pairs = (values = {}) => Object.entries(values).map(([name, value]) => `${name}=${value}`);

function query(filters) {
  const given = Object.entries(filters).flatMap(([name, value]) => [value].flat().map((v) => [name, v])).filter(([, v]) => v !== undefined && v !== "");
  return given.length ? "?" + new URLSearchParams(given) : "";
}
