// Requests over HTTP, over TCP or a Unix socket, and the problems that they are answered with.
import http from "node:http";
import https from "node:https";
import {setTimeout as sleep} from "node:timers/promises";

export class BelayError extends Error {
  constructor(status, problem, options) {
    super(problem.detail ? `${problem.title}: ${problem.detail}` : problem.title, options);
    this.name = "BelayError";
    this.status = status; // 0 = there was no answer
    this.code = problem.code ?? "";
    this.title = problem.title;
    this.detail = problem.detail ?? "";
    this.retryable = problem.retryable ?? false;
    this.errors = problem.errors ?? [];
    this.problem = problem;
    this.retryAfter = undefined; // seconds
  }
}

// Patience is how long, in seconds, what fails is tried again, and the pauses between.
export class Patience {
  constructor(seconds) {
    this.seconds = seconds;
    this.worked();
  }

  worked() {
    this.since = undefined;
    this.pause = 100;
  }

  // failed pauses before the next try, or throws e if there is none.
  async failed(e) {
    const now = Date.now();
    this.since ??= now;
    const left = this.since + this.seconds * 1000 - now;
    if (!(e instanceof BelayError) || !e.retryable || left <= 0) throw e;
    await sleep(Math.min(e.retryAfter === undefined ? this.pause : e.retryAfter * 1000, 5000, left));
    this.pause = Math.min(2 * this.pause, 5000);
  }
}

// request sends one request on a connection of its own; every answer but a 2xx is thrown as a BelayError. Timeout is in
// seconds, for one sign of life.
export function request(url, token, method, path, body, {timeout, headers = {}, started} = {}) {
  return new Promise((resolve, reject) => {
    send(url, token, method, path, body, {Accept: "application/json", ...headers}, timeout, reject, started, async (answer) => {
      const text = await whole(answer);
      if (answer.statusCode >= 200 && answer.statusCode < 300) return resolve({status: answer.statusCode, headers: answer.headers, text});
      reject(problemOf(answer, text));
    });
  });
}

// events gives kind and data of server-sent events, as they come. It throws a BelayError when the connection breaks; an
// event that had not come whole is not given.
export async function* events(url, token, path, {timeout, headers}) {
  let sent;
  const answer = await new Promise((resolve, reject) => {
    sent = send(url, token, "GET", path, undefined, {Accept: "text/event-stream", ...headers}, timeout, reject, undefined, resolve);
  });
  try {
    if (answer.statusCode !== 200) throw problemOf(answer, await whole(answer));
    let event = {};
    for await (const line of linesOf(answer)) {
      const at = line.indexOf(": ");
      if (line) event[line.slice(0, at)] = line.slice(at + 2); // an entry is one line of data
      if (line) continue;
      if (event.data !== undefined) yield [event.event ?? "message", event.data];
      event = {};
    }
    throw new Error("the stream broke off");
  } catch (e) {
    throw e instanceof BelayError ? e : lost(url, e);
  } finally {
    sent.destroy();
  }
}

// linesOf gives the whole lines of an answer. It throws when the connection breaks, which readline does not.
async function* linesOf(answer) {
  answer.setEncoding("utf8");
  let rest = "";
  for await (const part of answer) {
    const lines = (rest + part).split("\n");
    rest = lines.pop();
    for (const line of lines) yield line.replace(/\r$/, "");
  }
}

const lost = (url, e) => new BelayError(0, {title: `${url} does not answer`, detail: e.message, code: "unreachable", retryable: true}, {cause: e});

function send(url, token, method, path, body, headers, timeout, reject, started, answered) {
  if (token) headers.Authorization = "Bearer " + token;
  const data = body === undefined ? undefined : JSON.stringify(body);
  if (data !== undefined) Object.assign(headers, {"Content-Type": "application/json", "Content-Length": Buffer.byteLength(data)});
  const unix = url.startsWith("unix:");
  const base = unix ? new URL("http://localhost") : new URL(url);
  const options = {method, headers, agent: false, path: base.pathname.replace(/\/$/, "") + path};
  Object.assign(options, unix ? {socketPath: url.slice("unix:".length)} : {hostname: base.hostname.replace(/^\[|\]$/g, ""), port: base.port});
  const fail = (e) => reject(e instanceof BelayError ? e : lost(url, e));
  const sent = (base.protocol === "https:" ? https : http).request(options, (answer) => {
    answer.on("error", fail);
    Promise.resolve(answered(answer)).catch(fail);
  });
  sent.setTimeout(timeout * 1000, () => sent.destroy(new Error(`no answer in ${timeout} s`)));
  sent.on("error", fail);
  sent.end(data);
  started?.(sent);
  return sent;
}

async function whole(answer) {
  const parts = [];
  for await (const part of answer) parts.push(part);
  return Buffer.concat(parts).toString();
}

function problemOf(answer, text) {
  const e = new BelayError(answer.statusCode, parsed(answer.statusCode, text));
  const after = Number(answer.headers["retry-after"] ?? NaN);
  if (after >= 0) e.retryAfter = after;
  return e;
}

function parsed(status, text) {
  try {
    const p = JSON.parse(text);
    if (p && typeof p === "object" && p.title) return p;
  } catch {
    // it is none
  }
  return {title: `The answer is ${status} without a problem`, detail: text.slice(0, 200), retryable: [429, 502, 503, 504].includes(status)};
}
