import base64, datetime, hashlib, json
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # pip install cryptography


def approved(header, call, tool, key, keys):
    """Who approved exactly this call. header: the request's Belay-Grant; call: its body, as bytes; tool: the one that this service is
    behind; key: the request's Idempotency-Key; keys: {id: Ed25519PublicKey}. Whatever it raises means: do not act."""
    version, *rest = (header or "").split(".")
    definition, *pairs = [base64.b64decode(p + "=" * (-len(p) % 4), "-_", validate=True) for p in rest] or [b""]
    if version != "v1" or not pairs or len(pairs) % 2 or b"\n" in definition:
        raise ValueError("nobody has approved this")
    digest = hashlib.sha256(b"belay call v1\n%s\n%s\n%s\n" % (tool.encode(), definition, call)).hexdigest()
    by = set()
    for statement, signature in zip(pairs[::2], pairs[1::2]):
        kind, _, text = statement.partition(b"\n")
        grant = json.loads(text)
        keys[grant["key"]].verify(signature, statement)
        late = datetime.datetime.now(datetime.timezone.utc) - datetime.datetime.fromisoformat(grant["expires"].replace("Z", "+00:00"))
        if not key or kind != b"belay approval v1" or (grant["tool"], grant["digest"], grant["call_key"]) != (tool, digest, key) or late.total_seconds() > 60:
            raise ValueError("the approval is of another call, or has expired")
        by.add(grant["by"])
    return by


def public_keys(text):
    """The keys in what `dispatcher keys export` prints."""
    lines = [line.removeprefix("belay-").split() for line in text.splitlines() if line.startswith("belay-")]
    return {id: Ed25519PublicKey.from_public_bytes(base64.b64decode(key)) for id, key in lines}
