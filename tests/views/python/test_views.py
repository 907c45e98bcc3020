"""What our views say, read by others: the schema of OCSF, OTLP's messages, a syslog parser, a webhook receiver."""

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
import sys
import threading
import time
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from google.protobuf import json_format
from jsonschema import Draft202012Validator
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from standardwebhooks import Webhook
from syslog_rfc5424_parser import SyslogMessage

sys.path[:0] = [str(Path(__file__).parents[2] / "evidence/python"), str(Path(__file__).parents[3] / "verify")]
from story import told  # noqa: E402

PEER = os.environ["VIEWS_PEER"]
SECRET = "whsec_" + base64.b64encode(b"a secret of thirty-two bytes....").decode()


@pytest.fixture(scope="module")
def leaves():
    return [draft.leaf for draft in told().log().drafts]


def rendered(form, leaves):
    done = subprocess.run([PEER, "render", form], input="\n".join(leaf.hex() for leaf in leaves), text=True,
                          capture_output=True, check=True)
    return [json.loads(line) if line else None for line in done.stdout.split("\n")[:-1]]


def ocsf_validator():
    schema = OcsfJsonSchemaEmbedded(get_ocsf_schema("1.8.0")).get_class_schema("api_activity", ["ai_operation"])
    return Draft202012Validator(schema)


def test_every_entry_is_an_event_of_the_public_schema(leaves):
    validator = ocsf_validator()
    events = rendered("ocsf", leaves)
    assert len(events) == len(leaves) == 40
    for event in events:
        # No package has a schema later than 1.8 yet, and the profile `record_integrity` is of 1.9: see below.
        attestations = event.pop("attestation_list")
        event["metadata"]["version"] = "1.8.0"
        errors = [f"{'/'.join(map(str, e.absolute_path))}: {e.message}" for e in validator.iter_errors(event)]
        assert errors == [], event
        assert len(attestations) == 1


def test_the_schema_finds_what_is_wrong_with_an_event(leaves):
    validator = ocsf_validator()
    for wrong in ({"actor": None}, {"severity_id": "high"}, {"activity_id": 77}, {"time": "now"}, {"ai_model": {}}):
        event = rendered("ocsf", leaves[:1])[0]
        event.pop("attestation_list")
        assert list(validator.iter_errors({**event, **wrong})), wrong


TEXT, NUMBER = {"type": "string"}, {"type": "integer"}
# What 1.9 adds, by the public source of the schema: the profile's list of the object `attestation`, and its fingerprint.
ATTESTATIONS = {
    "type": "array",
    "items": {
        "type": "object",
        "additionalProperties": False,
        "anyOf": [{"required": ["fingerprint"]}, {"required": ["signatures"]}],
        "properties": {
            "uid": TEXT,
            "authority_uid": TEXT,
            "chain_uid": TEXT,
            "prev_event": {"type": "object"},
            "signatures": {"type": "array", "items": {"type": "object"}},
            "fingerprint": {
                "type": "object",
                "additionalProperties": False,
                "required": ["algorithm_id", "value"],
                "properties": {
                    "algorithm": TEXT,
                    "algorithm_id": {**NUMBER, "enum": [*range(21), 99]},
                    "encoding": TEXT,
                    "encoding_id": {**NUMBER, "enum": [0, 1, 2, 3, 99]},
                    "serialization": TEXT,
                    "serialization_id": {**NUMBER, "enum": [*range(9), 99]},
                    "value": TEXT,
                },
            },
        },
    },
}


def test_an_attestation_has_the_leaf_and_its_hash_as_the_profile_of_version_1_9_asks(leaves):
    validator = Draft202012Validator(ATTESTATIONS)
    for event, leaf in zip(rendered("ocsf", leaves), leaves):
        validator.validate(event["attestation_list"])
        [attestation] = event["attestation_list"]
        fingerprint = attestation["fingerprint"]
        assert (fingerprint["algorithm_id"], fingerprint["encoding_id"], fingerprint["serialization_id"]) == (3, 1, 99)
        assert base64.b64decode(attestation["uid"]) == leaf
        assert fingerprint["value"] == hashlib.sha256(b"\0" + leaf).hexdigest()
        assert event["metadata"]["profiles"] == ["ai_operation", "record_integrity"]


def test_calls_are_log_records_of_otlp(leaves):
    shown = [event for event in rendered("otel", leaves) if event is not None]
    tokens = 0
    for event in shown:
        request = json_format.ParseDict(event, ExportLogsServiceRequest())
        [record] = request.resource_logs[0].scope_logs[0].log_records
        attributes = {one.key: one.value for one in record.attributes}
        output = attributes.get("gen_ai.usage.output_tokens")
        tokens += output.int_value if output else 0
        # The record does not say which operation of the dialect a call was.
        assert "gen_ai.operation.name" not in attributes
        assert record.time_unix_nano % 1_000_000 == 0 and record.event_name.startswith("exeat.call.")
    # Eleven opens and closes, a refusal, a redecision and a lease.
    assert (len(shown), tokens) == (25, 1_640)


class Peer:
    """A log that grows by a line at a time and is streamed to a sink."""

    def __init__(self, folder, form, *sink):
        self.process = subprocess.Popen([PEER, "stream", str(folder), form, *sink], stdin=subprocess.PIPE, text=True)

    def append(self, *codes):
        self.process.stdin.write("".join(code + "\n" for code in codes))
        self.process.stdin.flush()

    def end(self):
        self.process.stdin.close()
        assert self.process.wait(20) == 0


def eventually(what, seconds=30):
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.05)


class Collector:
    """Takes syslog connections, each to its end, until told to stop."""

    def __init__(self, context=None):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port, self.context, self.messages = self.listener.getsockname()[1], context, []
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            stream, _ = self.listener.accept()
            try:
                stream = self.context.wrap_socket(stream, server_side=True) if self.context else stream
                with stream, stream.makefile("rb") as data:
                    self.messages += unframed(data.read())
            except OSError:
                continue

    def codes(self):
        bodies = [json.loads(message.msg.lstrip("\ufeff")) for message in self.messages]
        return [body["unmapped"]["code"] for body in bodies if "code" in body["unmapped"]
                and body["unmapped"]["kind"] == "admin"]


def unframed(data):
    """Takes messages out of octet counting (RFC 6587 section 3.4.1)."""
    messages = []
    while data:
        length, _, rest = data.partition(b" ")
        assert len(rest) >= int(length)
        messages.append(SyslogMessage.parse(rest[:int(length)].decode()))
        data = rest[int(length):]
    return messages


def test_a_collector_gets_every_entry_in_order_as_messages_of_the_rfc(tmp_path):
    collector = Collector()
    peer = Peer(tmp_path, "ocsf", f"tcp://127.0.0.1:{collector.port}")
    codes = [f"act.{at}" for at in range(20)]
    peer.append(*codes)
    eventually(lambda: len(collector.codes()) >= 20)
    assert collector.codes() == codes
    message = collector.messages[2]
    assert (message.facility.name, message.severity.name, message.appname) == ("audit", "info", "exeat")
    assert message.sd["exeat@32473"] == {"log": "log.example.com/exeat/1", "index": "2"}
    peer.end()


def certificate(folder):
    """Makes a certificate that is its own authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "collector.example")])
    now = datetime.datetime.now(datetime.timezone.utc)
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
            .serial_number(1).not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(names, False).sign(key, hashes.SHA256()))
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context


def test_a_collector_over_tls_is_told_only_if_it_is_the_one_we_trust(tmp_path):
    (tmp_path / "own").mkdir()
    (tmp_path / "other").mkdir()
    trusted, stranger = Collector(certificate(tmp_path / "own")), Collector(certificate(tmp_path / "other"))
    ca = str(tmp_path / "own/cert.pem")
    for name, collector in (("a", trusted), ("b", stranger)):
        (tmp_path / name).mkdir()
        peer = Peer(tmp_path / name, "ocsf", f"tls://127.0.0.1:{collector.port}", ca)
        peer.append("act")
        if collector is trusted:
            eventually(lambda: trusted.codes() == ["act"])
        else:
            time.sleep(2)
        peer.end()
    assert stranger.messages == []


class Receiver(http.server.ThreadingHTTPServer):
    """A webhook that checks each signature and fails as often as it is told to."""

    def __init__(self, failures=0):
        super().__init__(("127.0.0.1", 0), Handler)
        self.failures, self.batches = failures, []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def codes(self):
        events = [json.loads(line) for _, body in self.batches for line in body.decode().splitlines()]
        return [event["code"] for event in events if event["kind"] == "admin"]


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.failures -= 1
        status = 503 if self.server.failures >= 0 else 204
        if status == 204:
            self.server.batches.append((dict(self.headers), body))
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def signature(headers, body):
    """What Standard Webhooks' own library signs these with."""
    at = datetime.datetime.fromtimestamp(int(headers["webhook-timestamp"]), datetime.timezone.utc)
    return Webhook(SECRET).sign(headers["webhook-id"], at, body.decode())


def test_a_webhook_gets_every_entry_once_it_answers_and_can_tell_who_sent_it(tmp_path):
    receiver = Receiver(failures=2)
    url = f"http://127.0.0.1:{receiver.server_port}/in"
    peer = Peer(tmp_path, "jsonl", url, SECRET)
    codes = [f"act.{at}" for at in range(9)]
    peer.append(*codes)
    eventually(lambda: len(receiver.codes()) >= 9)
    assert receiver.codes() == codes
    for headers, body in receiver.batches:
        assert headers["webhook-signature"] == signature(headers, body)
        assert headers["content-type"] == "application/x-ndjson"
    ids = [headers["webhook-id"] for headers, _ in receiver.batches]
    assert len(set(ids)) == len(ids)
    peer.end()


def test_a_stream_goes_on_where_the_last_process_stopped(tmp_path):
    receiver = Receiver()
    url = f"http://127.0.0.1:{receiver.server_port}/in"
    peer = Peer(tmp_path, "jsonl", url, SECRET)
    peer.append("before")
    eventually(lambda: receiver.codes() == ["before"])
    eventually(lambda: int((tmp_path / "peer.cursor").read_text() if (tmp_path / "peer.cursor").exists() else 0) >= 3)
    peer.end()
    again = Peer(tmp_path, "jsonl", url, SECRET)
    again.append("after")
    eventually(lambda: "after" in receiver.codes())
    assert receiver.codes() == ["before", "after"]
    again.end()
