// say prints what a tool gave and, where it waits for a person, the page on which that person decides.
export function say(result) {
  const text = typeof result === "string" ? result : JSON.stringify(result);
  const page = /People see it at (\S+)/.exec(text)?.[1];
  console.log(page ? `a person decides at ${page}` : `tool: ${text.slice(0, 300)}`);
}
