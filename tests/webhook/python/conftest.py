"""Starts our endpoint for deliveries, and an API of the vendors that it asks back."""

import http.server
import json
import os
import subprocess
import threading

import httpx
import pytest

SERVER = os.environ["WEBHOOK_SERVER"]


class Api:
    """What the vendors' API answers, by path; anything else is not found."""

    def __init__(self):
        self.answers, self.asked = {}, []
        api = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                path = self.path.split("?")[0]
                api.asked.append((path, self.headers["Authorization"]))
                status, body = api.answers.get(path, (404, None))
                text = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


class Endpoint:
    """One process of our endpoint."""

    def __init__(self, api):
        self.process = subprocess.Popen([SERVER, api.url], stdout=subprocess.PIPE, text=True)
        self.client = httpx.Client(base_url=json.loads(self.process.stdout.readline())["url"], timeout=30)

    def deliver(self, vendor, header, signature, body):
        headers = {header: signature, "Content-Type": "application/json"}
        return self.client.post(f"/webhooks/{vendor}", headers=headers, content=body)

    def held(self):
        """The countries of which the person is held to be a citizen, and by whom."""
        claims = [(one["claim"], one["issuer"]) for one in self.client.get("/held").json()]
        return sorted((claim["country"], issuer) for claim, issuer in claims if claim["kind"] == "citizenship")

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.client.close()


@pytest.fixture
def api():
    started = Api()
    yield started
    started.server.shutdown()
    started.server.server_close()


@pytest.fixture
def endpoint(api):
    started = Endpoint(api)
    yield started
    started.stop()
