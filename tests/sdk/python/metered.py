"""A gateway of its own, a meter behind it, and a model behind that which always says the same, in streams too."""

import http.server
import json
import os
import subprocess
import threading
import time
import urllib.request

from gateway import LAB, MODEL, READY_WITHIN, STOPPED_WITHIN, Gateway, free_port

METER = "meter.example.com/exeat/test"
GATEWAY = "log.example.com/exeat/test"
WORDS = ["Yes", ",", " it", " is", "."]

SERVE = """
data_dir = "data"
lab = "{lab}"
[server]
listen = ["127.0.0.1:{calls}"]
workers = 1
[control]
listen = "127.0.0.1:{admin}"
[desk]
approvals = 0
[proofs]
required = false
[[models]]
id = "{model}"
family = "{model}"
control = "published"
clearance = "identified"
meter = "{meter}"
[[models.endpoints]]
url = "http://127.0.0.1:{upstream}"
dialects = ["openai", "anthropic"]
[ledger]
origin = "{origin}"
segment_mib = 4
checkpoint_ms = 200
"""

COUNT = """
[meter]
origin = "{meter}"
data_dir = "meter-data"
listen = "127.0.0.1:{listen}"
[meter.upstream]
url = "http://127.0.0.1:{upstream}"
[[meter.issuers]]
origin = "{origin}"
ticket_key_file = "tickets.jwk"
[ledger]
segment_mib = 4
"""


class Model(http.server.BaseHTTPRequestHandler):
    """Says five words in each dialect."""

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))))
        anthropic = self.path.endswith("/messages")
        events = anthropic_events() if anthropic else openai_events()
        whole = anthropic_whole() if anthropic else openai_whole()
        body = "".join(events).encode() if asked.get("stream") else json.dumps(whole).encode()
        self.send_response(200)
        self.send_header("content-type", "text/event-stream" if asked.get("stream") else "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def openai_whole():
    message = {"index": 0, "message": {"role": "assistant", "content": "".join(WORDS)}, "finish_reason": "stop"}
    return {"id": "c-1", "object": "chat.completion", "created": 1, "model": MODEL, "choices": [message],
            "usage": {"prompt_tokens": 3, "completion_tokens": len(WORDS), "total_tokens": 3 + len(WORDS)}}


def openai_events():
    chunk = {"id": "c-1", "object": "chat.completion.chunk", "created": 1, "model": MODEL}
    for word in WORDS:
        choice = {"index": 0, "delta": {"content": word}, "finish_reason": None}
        yield f"data: {json.dumps({**chunk, 'choices': [choice]})}\n\n"
    yield f"data: {json.dumps({**chunk, 'choices': [], 'usage': openai_whole()['usage']})}\n\n"
    yield "data: [DONE]\n\n"


def anthropic_whole():
    return {"id": "m-1", "type": "message", "role": "assistant", "model": MODEL, "stop_reason": "end_turn",
            "content": [{"type": "text", "text": "".join(WORDS)}],
            "usage": {"input_tokens": 3, "output_tokens": len(WORDS)}}


def anthropic_events():
    def event(name, **data):
        return f"event: {name}\ndata: {json.dumps({'type': name, **data})}\n\n"

    begun = {**anthropic_whole(), "content": [], "stop_reason": None, "usage": {"input_tokens": 3, "output_tokens": 1}}
    yield event("message_start", message=begun)
    yield event("content_block_start", index=0, content_block={"type": "text", "text": ""})
    for word in WORDS:
        yield event("content_block_delta", index=0, delta={"type": "text_delta", "text": word})
    yield event("content_block_stop", index=0)
    yield event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": len(WORDS)})
    yield event("message_stop")


class Metered(Gateway):
    """`exeat serve`, `exeat meter` behind it, and a model behind both."""

    def __init__(self, folder):
        self.folder = folder
        self.upstream = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Model)
        threading.Thread(target=self.upstream.serve_forever, daemon=True).start()
        calls, self.admin_port, self.meter_port = free_port(), free_port(), free_port()
        self.origin = f"http://127.0.0.1:{calls}"
        self.log = open(folder / "server.log", "ab")
        self.process = self._start("serve", "exeat.toml", SERVE.format(
            lab=LAB, model=MODEL, meter=METER, origin=GATEWAY, calls=calls, admin=self.admin_port,
            upstream=self.meter_port))
        self._wait_until_ready()
        key = self.exeat("ledger", "ticket-key", "--file", str(folder / "data" / "ticket.key"))
        (folder / "tickets.jwk").write_bytes(key.stdout)
        self.meter = self._start("meter", "meter.toml", COUNT.format(
            meter=METER, origin=GATEWAY, listen=self.meter_port, upstream=self.upstream.server_port))
        self._wait_for_meter()
        self._populate()
        holder = {"kind": "person", "person": "ada"}
        self.api_key = self.admin("/admin/v1/keys", holder=holder, organization=LAB)["key"]

    def exeat(self, *arguments):
        """Runs the binary and returns what came of it."""
        return subprocess.run([os.environ["EXEAT_BIN"], *arguments], capture_output=True, check=False, timeout=60)

    def reconcile(self):
        """Holds the two records against each other; returns whether they agree, and the rows."""
        done = self.exeat("--json", "ledger", "reconcile", "--ledger", str(self.folder / "data" / "ledger"),
                          "--meter", str(self.folder / "meter-data" / "ledger"),
                          "--ticket-key", str(self.folder / "tickets.jwk"))
        return done.returncode == 0, json.loads(done.stdout)

    def _start(self, command, name, configuration):
        (self.folder / name).write_text(configuration)
        command = [os.environ["EXEAT_BIN"], command, "--config", str(self.folder / name)]
        return subprocess.Popen(command, stdout=self.log, stderr=self.log)

    def _wait_for_meter(self):
        deadline = time.monotonic() + READY_WITHIN
        while True:
            assert self.meter.poll() is None and time.monotonic() < deadline, (self.folder / "server.log").read_text()
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.meter_port}/readyz", timeout=5):
                    return
            except OSError:
                time.sleep(0.05)

    def stop(self):
        self.meter.terminate()
        assert self.meter.wait(STOPPED_WITHIN) == 0
        super().stop()
