// Escalations: the questions that wait for people.

export class Escalation {
  constructor(belay, item) {
    Object.defineProperty(this, "belay", {value: belay, enumerable: false});
    Object.assign(this, {item, dossier: {}, etag: ""});
  }

  get id() { return this.item.id; }
  get kind() { return this.item.kind; }
  get state() { return this.item.state; }
  get run() { return this.item.run; }
  get step() { return this.item.step; }
  get tool() { return this.item.tool; }
  get message() { return this.item.message; }
  get allowed() { return this.item.allowed; }
  get params() { return this.dossier.failing?.params; }
  get agent() { return this.dossier.agent; }
  get digest() { return this.dossier.approval?.digest ?? ""; }

  async load() {
    const answer = await this.belay.send("GET", `/api/v1/escalations/${encodeURIComponent(this.id)}`);
    const {item, dossier} = JSON.parse(answer.text);
    return Object.assign(this, {item, dossier, etag: answer.headers.etag ?? ""});
  }

  // decide decides it as it was loaded.
  async decide(verb, {reason, scope, params, answer, take} = {}) {
    if (!this.etag) await this.load();
    const digest = verb === "approve" ? this.digest : undefined;
    return this.belay.decide(this.id, verb, {reason, scope, params, answer, take, digest, etag: this.etag});
  }

  claim({take} = {}) { return this.belay.act(this.id, "claim", {take}); }
  release() { return this.belay.act(this.id, "release", {}); }
  note(text) { return this.belay.act(this.id, "note", {text}); }
  assign(to) { return this.belay.act(this.id, "assign", {to}); }
  snooze(until) { return this.belay.act(this.id, "snooze", {until: until.toISOString()}); }
}
