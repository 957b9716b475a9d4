# A tool written in Python, with the standard library alone. docs/protocol.md says what is sent.
#
#   go run ./cmd/dispatcher dev --tools examples/remote/tools.yaml --work-listen 127.0.0.1:7480   # in one terminal
#   python3 examples/remote/worker.py                                # in another, as often as you like
#   go run ./cmd/dispatcher run examples/remote/plan.yaml            # in a third
import json, os, pathlib, urllib.request

URL = os.environ.get("BELAY_WORK_URL", "http://127.0.0.1:7480")
STATE = pathlib.Path(os.environ.get("XDG_STATE_HOME") or pathlib.Path.home() / ".local/state")
TOKEN = os.environ.get("BELAY_WORK_TOKEN") or (STATE / "belay/work-token").read_text().strip()

def post(path, body):
    request = urllib.request.Request(URL + "/work/" + path, json.dumps(body).encode(), {"Authorization": "Bearer " + TOKEN})
    return urllib.request.urlopen(request, timeout=60).read()

def add(lines):
    if any(line["cents"] < 0 for line in lines):
        return "fail", {"need_human": True, "message": "it has a credit in it", "acted": "no"}
    return "succeed", {"output": {"cents": sum(line["cents"] for line in lines)}}

while True:
    if answer := post("poll", {"tools": ["invoice.add"], "worker": f"python-{os.getpid()}"}):
        call = json.loads(answer)
        how, body = add(call["params"]["lines"])
        post(call["lease"] + "/" + how, body)
