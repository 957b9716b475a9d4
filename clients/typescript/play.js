// Plays of a plan on a virtual clock, for tests: what fails, what people decide, and what came of it.
import {execFile} from "node:child_process";
import {mkdtemp, rm, writeFile} from "node:fs/promises";
import {tmpdir} from "node:os";
import {dirname, join, resolve} from "node:path";

const certain = new Set(["rate_limited", "connection", "invalid_input", "unauthorized", "forbidden", "not_found", "conflict"]);

export class Ending {
  constructor(said) {
    this.state = said.ends;
    for (const key of ["degraded", "asked", "effects", "took", "lines"]) this[key] = said[key];
  }

  toString() {
    return this.lines.map(({at, who, text}) => `${at.toFixed(3).padStart(10)}s  ${who.padEnd(10)}  ${text}`).join("\n");
  }
}

export class Play {
  #story;

  constructor(plan, {tools, input = {}} = {}) {
    const file = resolve(plan);
    this.#story = {
      plan: file, tools: tools ? resolve(tools) : join(dirname(file), "tools.yaml"), input, outputs: {}, world: [], people: [], expect: {ends: "any"},
    };
  }

  returns(step, value) {
    this.#story.outputs[step] = value;
    return this;
  }

  fail(at, failureClass, times = 0, {acted = false} = {}) {
    const message = "the test says so";
    this.#story.world.push({...place(at), times, acted, class: failureClass, may_have_acted: acted || !certain.has(failureClass), message});
    return this;
  }

  suffer(at, fault, times = 0) {
    this.#story.world.push({...place(at), fault, times});
    return this;
  }

  person(...verbs) {
    this.#story.people.push(...verbs.map((verb) => ({verb})));
    return this;
  }

  async run() {
    const folder = await mkdtemp(join(tmpdir(), "belay-play-"));
    try {
      const file = join(folder, "play.story.yaml");
      await writeFile(file, JSON.stringify(this.#story));
      return ending(await drill(file), file);
    } finally {
      await rm(folder, {recursive: true, force: true});
    }
  }
}

// place takes step, step.rung and, of a call of an agent, step~t1.2 and step~t1.2.rung apart.
function place(at) {
  const call = /^([^.]*~t\d+\.\d+)(?:\.(.*))?$/.exec(at);
  if (call) return call[2] === undefined ? {step: call[1]} : {step: call[1], rung: call[2]};
  const dot = at.indexOf(".");
  return dot < 0 ? {step: at} : {step: at.slice(0, dot), rung: at.slice(dot + 1)};
}

function drill(file) {
  return new Promise((done, failed) => {
    execFile(process.env.BELAY_DISPATCHER ?? "dispatcher", ["drill", file, "-o", "json"], {maxBuffer: 64 << 20}, (error, stdout, stderr) => {
      if (error?.code === "ENOENT") failed(new Error("there is no program dispatcher in PATH; name it with BELAY_DISPATCHER", {cause: error}));
      else done({stdout, stderr});
    });
  });
}

function ending({stdout, stderr}, file) {
  let said;
  try {
    said = JSON.parse(stdout)[0];
  } catch {
    said = undefined;
  }
  if (said?.ends === undefined) throw new TypeError(problem(stderr, file));
  const end = new Ending(said);
  if (said.wrong.length > 0) throw new Error(`${said.wrong.join("; ")}\n${end}`);
  return end;
}

// problem is what the program says is wrong, without the name of a file that nobody has written.
function problem(stderr, file) {
  let text = stderr.trim();
  try {
    text = JSON.parse(text).error.detail;
  } catch {
    // it is said in words
  }
  return text.startsWith(`${file}: `) ? text.slice(file.length + 2) : text;
}
