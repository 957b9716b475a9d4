"""The payment service of main.go in Python: python3 service.py KEYS [HOST:PORT]"""
import http.server, json, sys
from verify import approved, public_keys

keys, done = public_keys(open(sys.argv[1]).read()), set()


class Service(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body, key = self.rfile.read(int(self.headers.get("Content-Length", 0))), self.headers.get("Idempotency-Key")
        try:
            by = approved(self.headers.get("Belay-Grant"), body, "payments.refund", key, keys)
        except Exception as error:
            return self.answer(403, {"error": str(error) or type(error).__name__})
        refund = json.loads(body)
        if key not in done:  # an approval is of one key, so once for each key is once for each approval
            done.add(key)
            print("paid", refund["amount"], "for", refund["order"], "approved by", len(by), flush=True)
        self.answer(200, {"paid": refund["amount"]})

    def answer(self, status, value):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(value).encode())

    def log_message(self, *_):
        pass


host, port = (sys.argv[2] if len(sys.argv) > 2 else "127.0.0.1:8392").split(":")
server = http.server.HTTPServer((host, int(port)), Service)
print("listening on", "%s:%d" % server.server_address, flush=True)
server.serve_forever()
