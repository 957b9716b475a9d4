// Clients that others have written, against a running dispatcher: over HTTP and as a child process, in the eras of the
// protocol that they speak. TestClientsOfOthers starts it.
import assert from 'node:assert/strict';
import { isCreateTaskResultV2, isDetailedTaskV2, hasTaskServerCapabilityV2 } from '@modelcontextprotocol/ext-tasks/core/v2';
import { Client1, ways } from './ways.mjs';

const { MCP_URL, MCP_TOKEN, MCP_SHOP } = process.env;
const orders = async () => Number(await (await fetch(`${MCP_SHOP}/count`)).text());
const texts = (result) => result.content.map((c) => c.text).join('\n');

async function exercise(way, Client, transport, options, version) {
  const client = new Client({ name: `agent, ${way}`, version: '1' }, options);
  await client.connect(transport());
  if (version) assert.equal(client.getNegotiatedProtocolVersion(), version);
  const call = (name, args = {}, o) => client.callTool({ name, arguments: args }, ...(Client === Client1 ? [undefined, o] : [o]));

  const { tools } = await client.listTools(); // from now on the client checks results against the schemas
  const lookup = tools.find((t) => t.name === 'look_up');
  assert.ok(lookup.annotations.readOnlyHint && lookup.outputSchema && lookup.inputSchema.properties.belay_request_id, JSON.stringify(lookup));

  assert.deepEqual((await call('look_up', { x: 7 })).structuredContent, { x: 7 });
  const price = await call('price');
  assert.equal(price.structuredContent.price, 3);
  assert.equal(price.structuredContent.belay.degraded[0].rung, 'list');
  assert.match(texts(price), /This result is degraded/);
  const refused = await call('look_up', { x: 'seven' });
  assert.ok(refused.isError, JSON.stringify(refused));
  assert.match(texts(refused), /The input is not valid/);

  const asked = await call('pay', { amount: 3 });
  assert.equal(asked.structuredContent.state, 'waiting', JSON.stringify(asked));
  assert.match(asked.structuredContent.url, /^http:.*\/e\//);
  assert.equal(asked.structuredContent.poll, 'belay_result');

  const before = await orders();
  const order = { from: way, slow: true };
  await assert.rejects(call('order', order, { timeout: 300 }), way); // the shop takes longer
  let said = 0;
  const done = await call('order', order, { onprogress: () => said++ });
  assert.ok(!done.isError, JSON.stringify(done));
  assert.match(texts(done), /An equal call started the run/);
  assert.equal(await orders(), before + 1, 'one effect');
  assert.ok(said > 0, 'no progress');
  await client.close();
  console.log(`ok ${way}`);
}

// raw sends a request as a client that knows tasks, which the clients above do not by themselves.
async function raw(method, params, name) {
  const clientCapabilities = { elicitation: { url: {} }, extensions: { 'io.modelcontextprotocol/tasks': {} } };
  const _meta = { 'io.modelcontextprotocol/protocolVersion': '2026-07-28', 'io.modelcontextprotocol/clientCapabilities': clientCapabilities };
  const headers = {
    Authorization: `Bearer ${MCP_TOKEN}`, 'Content-Type': 'application/json', Accept: 'application/json, text/event-stream',
    'Mcp-Protocol-Version': '2026-07-28', 'Mcp-Method': method, ...(name && { 'Mcp-Name': name }),
  };
  const answer = await fetch(MCP_URL, { method: 'POST', headers, body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params: { ...params, _meta } }) });
  const text = await answer.text();
  return JSON.parse(text.slice(text.indexOf('{'))).result;
}

// tasks holds what the server says of a task against the schemas of the extension.
async function tasks() {
  assert.ok(hasTaskServerCapabilityV2((await raw('server/discover', {})).capabilities));
  const asked = await raw('tools/call', { name: 'pay', arguments: { amount: 9 } }, 'pay');
  assert.ok(isCreateTaskResultV2(asked), JSON.stringify(asked));
  const waits = await raw('tasks/get', { taskId: asked.taskId });
  assert.ok(isDetailedTaskV2(waits), JSON.stringify(waits));
  assert.equal(waits.status, 'input_required');
  assert.equal((await raw('tasks/cancel', { taskId: asked.taskId })).resultType, 'complete');
  console.log('ok tasks');
}

await tasks();
for (const [way, Client, transport, options, version] of ways) {
  await exercise(way, Client, transport, options, version);
}
process.exit(0);
