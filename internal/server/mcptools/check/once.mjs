// One order by one of the clients, in a process that can be killed: once.mjs WAY. It says "waits" once it knows that its call
// is under way, and then what came of it.
import { createTaskSessionFromClient, resultFromTaskOutcome } from '@modelcontextprotocol/ext-tasks/client';
import { Client1, ways } from './ways.mjs';

const { MCP_URL, MCP_TOKEN } = process.env;
const way = process.argv[2];
const order = { from: way };
const waits = () => console.log('waits');
let task = ''; // what was said of it when it was given

async function plain() {
  const [, Client, transport, options] = ways.find(([name]) => name === way);
  const client = new Client({ name: 'killed', version: '1' }, options);
  await client.connect(transport());
  const follow = { onprogress: waits, timeout: 60_000, resetTimeoutOnProgress: true };
  const result = await client.callTool({ name: 'order', arguments: order }, ...(Client === Client1 ? [undefined, follow] : [follow]));
  await client.close();
  return result;
}

// tasks is a client of the extension, which sends its requests by itself: the SDK does not let it.
async function tasks() {
  const clientInfo = { name: 'killed', version: '1' };
  const clientCapabilities = { extensions: { 'io.modelcontextprotocol/tasks': {} } };
  const [, Client, transport, options, protocolVersion] = ways.find(([name]) => name === 'client 2 over HTTP, 2026-07-28');
  const client = new Client(clientInfo, options);
  await client.connect(transport());
  let id = 0;
  const rawDispatch = async (request, { signal } = {}) => {
    const headers = {
      Authorization: `Bearer ${MCP_TOKEN}`, 'Content-Type': 'application/json', Accept: 'application/json, text/event-stream',
      'Mcp-Protocol-Version': protocolVersion, 'Mcp-Method': request.method, 'Mcp-Name': request.params?.name ?? request.params?.taskId ?? '',
    };
    const text = await (await fetch(MCP_URL, { method: 'POST', headers, body: JSON.stringify({ jsonrpc: '2.0', id: ++id, ...request }), signal })).text();
    const answer = JSON.parse(text.slice(text.indexOf('{')));
    if (answer.result?.resultType === 'task') task = answer.result.statusMessage;
    return answer.error ? { kind: 'error', error: answer.error } : { kind: 'result', result: answer.result };
  };
  const session = createTaskSessionFromClient(client, { endpointId: 'belay', rawDispatch, v2RequestFraming: { protocolVersion, clientInfo, clientCapabilities } });
  const execution = await session.callTool('order', order);
  waits();
  const { outcome } = await execution.settle();
  await session.close();
  return resultFromTaskOutcome(outcome);
}

const { structuredContent, content } = await (way === 'tasks' ? tasks() : plain());
console.log(JSON.stringify({ ...structuredContent, text: [task, ...content.map((c) => c.text)].join('\n') }));
process.exit(0);
