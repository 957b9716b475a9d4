// The payment service of main.go in JavaScript: node service.mjs KEYS [HOST:PORT]
import {readFileSync} from "node:fs";
import {createServer} from "node:http";
import {approved, publicKeys} from "./verify.mjs";

const [file, listen = "127.0.0.1:8392"] = process.argv.slice(2);
const keys = publicKeys(readFileSync(file, "utf8"));
const done = new Set();

const server = createServer(async (request, response) => {
  const parts = [];
  for await (const part of request) parts.push(part);
  const body = Buffer.concat(parts), key = String(request.headers["idempotency-key"]);
  const answer = (status, value) => response.writeHead(status, {"Content-Type": "application/json"}).end(JSON.stringify(value));
  let by;
  try {
    by = approved(request.headers["belay-grant"], body, "payments.refund", key, keys);
  } catch (error) {
    return answer(403, {error: error.message});
  }
  const refund = JSON.parse(body.toString());
  if (!done.has(key)) { // an approval is of one key, so once for each key is once for each approval
    done.add(key);
    console.log("paid", refund.amount, "for", refund.order, "approved by", by.size);
  }
  answer(200, {paid: refund.amount});
});
const [host, port] = listen.split(":");
server.listen(Number(port), host, () => console.log(`listening on ${server.address().address}:${server.address().port}`));
