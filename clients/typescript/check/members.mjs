// What index.d.ts declares is there: every export, and every member of its classes.
import {fileURLToPath} from "node:url";
import ts from "typescript";
import * as belay from "../index.js";

const made = {
  Belay: new belay.Belay("http://127.0.0.1:1"),
  BelayError: new belay.BelayError(0, {title: "x"}),
  Play: new belay.Play("x.yaml"),
  Ending: new belay.Ending({ends: "", degraded: [], asked: [], effects: {}, took: 0, lines: []}),
  Run: new belay.Run({}, "r", {escalations: []}),
  Escalation: new belay.Escalation({}, {}),
};
const file = ts.createSourceFile("index.d.ts", ts.sys.readFile(fileURLToPath(new URL("../index.d.ts", import.meta.url))), ts.ScriptTarget.ES2022);
const missing = [];
let members = 0;
for (const s of file.statements) {
  if (!ts.isClassDeclaration(s) && !ts.isFunctionDeclaration(s)) continue;
  const name = s.name.text;
  if (typeof belay[name] !== "function") missing.push(name);
  if (!made[name]) continue;
  for (const {name: member} of s.members) {
    if (!member) continue; // a constructor
    members++;
    if (!(member.text in made[name])) missing.push(`${name}.${member.text}`);
  }
}
const declared = new Set(file.statements.map((s) => s.name?.text));
missing.push(...Object.keys(belay).filter((name) => !declared.has(name)).map((name) => `the types of ${name}`));
if (missing.length || members < 50) {
  console.error(`index.d.ts and index.js differ: ${missing.join(", ")} (${members} members)`);
  process.exit(1);
}
