"""A plain loop around a model, whose dangerous tools are Belay's, by the Python client. In one terminal, here:

    dispatcher dev --tools tools.yaml

and in another:

    PYTHONPATH=../../clients/python python3 loop.py

It prints where a person approves the refund. With a real model:
OPENAI_BASE_URL=https://api.openai.com/v1 OPENAI_API_KEY=... MODEL=gpt-5-mini
"""
import json
import os
import urllib.request

from belay import Belay

MODEL_URL = os.environ.get("OPENAI_BASE_URL", "http://127.0.0.1:8392/v1")
TOOLS = {"orders_lookup": "orders.lookup", "payments_refund": "payments.refund"}
ORDER = {"order": {"type": "string"}}
OFFERED = [
    {"type": "function", "function": {"name": "orders_lookup", "description": "Finds an order by its number.",
                                      "parameters": {"type": "object", "required": ["order"], "properties": ORDER}}},
    {"type": "function", "function": {"name": "payments_refund", "description": "Pays money back. It cannot be undone.",
                                      "parameters": {"type": "object", "required": ["order", "amount"],
                                                     "properties": {**ORDER, "amount": {"type": "number"}}}}},
]

BELAY_URL = os.environ.get("BELAY_URL", "http://127.0.0.1:8222")
belay = Belay(BELAY_URL)  # and BELAY_API_TOKEN


def ask(messages):
    body = json.dumps({"model": os.environ.get("MODEL", "support"), "messages": messages, "tools": OFFERED}).encode()
    headers = {"Content-Type": "application/json", "Authorization": "Bearer " + os.environ.get("OPENAI_API_KEY", "none")}
    with urllib.request.urlopen(urllib.request.Request(MODEL_URL + "/chat/completions", body, headers), timeout=60) as answer:
        return json.load(answer)["choices"][0]["message"]


def call(ticket, number, name, arguments):
    """One call of a tool. Its key names the ticket and the call: a loop that is started again repeats nothing."""
    run = belay.call(TOOLS[name], arguments, key=f"{ticket}-{number}-{name}").rest(60)
    if run.state == "waiting":
        for escalation in run.escalations:
            print(f"a person decides at {BELAY_URL}/e/{escalation}", flush=True)
        run.wait(3600)
    told = {"state": run.state, "output": run.output, "reason": run.reason}
    if run.degraded:
        told["degraded"] = [f"from {d.rung}, because of {d.cause}" for d in run.degraded]
    print("tool:", json.dumps(told)[:300], flush=True)
    return told


def settle(ticket, text):
    messages = [{"role": "system", "content": "You settle support tickets."}, {"role": "user", "content": text}]
    for turn in range(20):
        said = ask(messages)
        messages.append(said)
        if not said.get("tool_calls"):
            return said["content"]
        for n, c in enumerate(said["tool_calls"]):
            told = call(ticket, f"{turn}.{n}", c["function"]["name"], json.loads(c["function"]["arguments"]))
            messages.append({"role": "tool", "tool_call_id": c["id"], "content": json.dumps(told)})
    return "no answer after 20 turns"


print(settle("ticket-7", "Order A-1009 has arrived broken."))
