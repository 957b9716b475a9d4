"""Stands in for what is yours: prints the notices that it gets, once their signature is right, and what tools ask of it."""

import base64, hashlib, hmac, http.server, json, os, sys, time

SECRET = base64.b64decode(os.environ["BELAY_WEBHOOK_SECRET"].removeprefix("whsec_"))


def signed(headers, body):
    """Whether Belay has sent the notice, and in the last five minutes: https://www.standardwebhooks.com"""
    said, at = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "0")
    digest = hmac.new(SECRET, f"{said}.{at}.".encode() + body, hashlib.sha256).digest()
    right = "v1," + base64.b64encode(digest).decode()
    return abs(time.time() - int(at)) < 300 and any(hmac.compare_digest(right, s) for s in headers.get("webhook-signature", "").split())


class Yours(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/refunds":
            print("refund", json.loads(body), "key", self.headers.get("Idempotency-Key"))
            self.answer(200, {"refunded": True})
        elif self.path == "/notices" and signed(self.headers, body):
            print("notice", json.loads(body)["data"]["title"])
            self.answer(200, {})
        else:
            self.answer(401 if self.path == "/notices" else 404, {})

    def answer(self, code, value):
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(value).encode())

    def log_message(self, *_):
        pass


http.server.ThreadingHTTPServer(("", int(sys.argv[1])), Yours).serve_forever()
