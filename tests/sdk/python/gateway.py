"""A gateway of its own with TLS, and a model behind it that always says the same."""

import base64
import datetime
import hashlib
import http.server
import ipaddress
import json
import os
import socket
import ssl
import subprocess
import threading
import time
import urllib.error
import urllib.request

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

LAB = "larkspur-labs"
MODEL = "ember-2"
READY_WITHIN = 30
STOPPED_WITHIN = 30

CONFIGURATION = """
data_dir = "data"
lab = "{lab}"
[server]
listen = ["127.0.0.1:{calls}"]
external_origin = "https://127.0.0.1:{calls}"
client_certificates = "optional"
workers = 1
[server.tls]
cert_chain = "server.pem"
key = "server.key"
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
[[models.endpoints]]
url = "http://127.0.0.1:{upstream}"
dialects = ["openai", "anthropic"]
[ledger]
origin = "log.example.com/exeat/test"
segment_mib = 4
checkpoint_ms = 200
"""


class Certificate:
    """A self-signed certificate and its key, in PEM files."""

    def __init__(self, folder, name):
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{name}.example")])
        now = datetime.datetime.now(datetime.UTC)
        names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        builder = x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        builder = builder.not_valid_before(now - datetime.timedelta(hours=1)).not_valid_after(now + datetime.timedelta(days=1))
        made = builder.add_extension(names, critical=False).sign(key, hashes.SHA256())
        self.file, self.key_file = folder / f"{name}.pem", folder / f"{name}.key"
        self.file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
        self.key_file.write_bytes(key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
        digest = hashlib.sha256(made.public_bytes(serialization.Encoding.DER)).digest()
        self.thumbprint = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


class Model(http.server.BaseHTTPRequestHandler):
    """Says one word in each dialect."""

    def do_POST(self):
        self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.path.endswith("/messages"):
            answer = {"id": "m-1", "type": "message", "role": "assistant", "model": MODEL, "stop_reason": "end_turn",
                      "content": [{"type": "text", "text": "Yes."}], "usage": {"input_tokens": 1, "output_tokens": 1}}
        else:
            message = {"index": 0, "message": {"role": "assistant", "content": "Yes."}, "finish_reason": "stop"}
            answer = {"id": "c-1", "object": "chat.completion", "created": 1, "model": MODEL, "choices": [message],
                      "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}}
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Gateway:
    """`exeat serve` with TLS, which takes client certificates."""

    def __init__(self, folder):
        self.folder = folder
        self.certificate = Certificate(folder, "server")
        self.upstream = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Model)
        threading.Thread(target=self.upstream.serve_forever, daemon=True).start()
        calls, self.admin_port = free_port(), free_port()
        self.origin = f"https://127.0.0.1:{calls}"
        configuration = CONFIGURATION.format(
            lab=LAB, model=MODEL, calls=calls, admin=self.admin_port, upstream=self.upstream.server_port)
        (folder / "exeat.toml").write_text(configuration)
        self.log = open(folder / "server.log", "ab")
        command = [os.environ["EXEAT_BIN"], "serve", "--config", str(folder / "exeat.toml")]
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log)
        self._wait_until_ready()
        self._populate()

    def _wait_until_ready(self):
        deadline = time.monotonic() + READY_WITHIN
        while True:
            assert self.process.poll() is None and time.monotonic() < deadline, (self.folder / "server.log").read_text()
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.admin_port}/readyz", timeout=5):
                    return
            except OSError:
                time.sleep(0.05)

    def _populate(self):
        self.admin("/admin/v1/organizations", id=LAB, legal_name="Larkspur Labs, Inc.", country="US", kind="us",
                   screening="cleared", coverage="none", resells=False)
        self.admin("/admin/v1/people", id="ada", display_name="Ada", screening="cleared")
        now = datetime.datetime.now(datetime.UTC)
        from_, until = (f"{at:%Y-%m-%dT%H:%M:%SZ}" for at in (now, now + datetime.timedelta(days=30)))
        self.admin("/admin/v1/affiliations", person="ada", organization=LAB, engagement="employee", issuer="larkspur-hr",
                   evidence="staff roster", attested_at=from_, ends_at=until)

    def admin(self, path, **body):
        request = urllib.request.Request(f"http://127.0.0.1:{self.admin_port}{path}", json.dumps(body).encode())
        token = (self.folder / "data" / "admin.token").read_text().strip()
        request.add_header("authorization", f"Bearer {token}")
        request.add_header("content-type", "application/json")
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def key(self, certificate):
        """Mints a key that is bound to a certificate."""
        return self.admin("/admin/v1/keys", holder={"kind": "person", "person": "ada"}, organization=LAB,
                          confirmation={"x5t#S256": certificate.thumbprint})["key"]

    def trust(self, certificate=None):
        """Returns how a client reaches the gateway: with a certificate of its own, or without."""
        context = ssl.create_default_context(cafile=self.certificate.file)
        if certificate:
            context.load_cert_chain(certificate.file, certificate.key_file)
        return context

    def stop(self):
        self.process.terminate()
        self.process.wait(STOPPED_WITHIN)
        self.upstream.shutdown()
        self.log.close()


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
