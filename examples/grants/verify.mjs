// @ts-check
import {createHash, createPublicKey, verify} from "node:crypto";

/**
 * Who approved exactly this call. Whatever it throws means: do not act.
 * @param {string | undefined} header the request's Belay-Grant
 * @param {Buffer} call its body, as it came
 * @param {string} tool the one that this service is behind
 * @param {string | undefined} key the request's Idempotency-Key
 * @param {Record<string, import("node:crypto").KeyObject>} keys see publicKeys
 * @returns {Set<string>}
 */
export function approved(header, call, tool, key, keys) {
  const [version, definition, ...pairs] = (header ?? "").split(".").map((p, i) => (i ? Buffer.from(p, "base64url") : p));
  if (version !== "v1" || !pairs.length || pairs.length % 2 || definition.includes("\n")) throw new Error("nobody has approved this");
  const digest = createHash("sha256").update(`belay call v1\n${tool}\n`).update(definition).update("\n").update(call).update("\n").digest("hex");
  const by = new Set();
  for (let i = 0; i < pairs.length; i += 2) {
    const [statement, signature] = /** @type {Buffer[]} */ (pairs.slice(i, i + 2));
    const kind = "belay approval v1\n", text = statement.toString();
    if (!text.startsWith(kind)) throw new Error("this is not an approval");
    const grant = JSON.parse(text.slice(kind.length));
    if (!Object.hasOwn(keys, grant.key) || !verify(null, statement, keys[grant.key], signature)) throw new Error("this approval is not genuine");
    const other = grant.tool !== tool || grant.digest !== digest || !key || grant.call_key !== key;
    if (other || !(Date.now() - Date.parse(grant.expires) < 60_000)) throw new Error("the approval is of another call, or has expired");
    by.add(grant.by);
  }
  return by;
}

/**
 * The keys in what `dispatcher keys export` prints.
 * @param {string} text
 */
export function publicKeys(text) {
  const lines = [...text.matchAll(/^belay-(\S+) (\S+)$/gm)];
  return Object.fromEntries(lines.map(([, id, key]) => [id, createPublicKey({format: "jwk", key: {kty: "OKP", crv: "Ed25519", x: Buffer.from(key, "base64").toString("base64url")}})]));
}
