// The clients that others have written, each over HTTP and as the parent of a server of its own, in the eras of the protocol
// that they speak.
import { Client as Client1 } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as Http1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { StdioClientTransport as Stdio1 } from '@modelcontextprotocol/sdk/client/stdio.js';
import { Client as Client2, StreamableHTTPClientTransport as Http2 } from '@modelcontextprotocol/client';
import { StdioClientTransport as Stdio2 } from '@modelcontextprotocol/client/stdio';

const { MCP_URL, MCP_TOKEN, MCP_ARGV } = process.env;
const [command, ...args] = JSON.parse(MCP_ARGV);
const http = { requestInit: { headers: { Authorization: `Bearer ${MCP_TOKEN}` } } };
const child = { command, args, env: process.env, stderr: 'inherit' };
const modern = { versionNegotiation: { mode: 'auto' } };

export { Client1 };
export const ways = [
  ['sdk 1 over HTTP', Client1, () => new Http1(new URL(MCP_URL), http)],
  ['sdk 1 over stdio', Client1, () => new Stdio1(child)],
  ['client 2 over HTTP', Client2, () => new Http2(new URL(MCP_URL), http)],
  ['client 2 over HTTP, 2026-07-28', Client2, () => new Http2(new URL(MCP_URL), http), modern, '2026-07-28'],
  ['client 2 over stdio, 2026-07-28', Client2, () => new Stdio2(child), modern, '2026-07-28'],
];
