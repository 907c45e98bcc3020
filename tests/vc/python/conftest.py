"""Our side: one JSON object a line, in and out."""

import json
import os
import subprocess

import pytest
from openvc import P256SigningKey


class Peer:
    """Asks our side."""

    def __init__(self):
        pipe = subprocess.PIPE
        self.process = subprocess.Popen([os.environ["VC_PEER"]], stdin=pipe, stdout=pipe, text=True)

    def ask(self, what, **members):
        """Returns what our side tells, a fault included."""
        self.process.stdin.write(json.dumps({"do": what, **members}) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def stop(self):
        """Ends our side, and waits for it."""
        self.process.stdin.close()
        self.process.wait(timeout=10)


@pytest.fixture(scope="session")
def ours():
    """Our side, with its keys."""
    peer = Peer()
    peer.keys = peer.ask("keys")
    yield peer
    peer.stop()


@pytest.fixture
def issuer():
    """An issuer of theirs."""
    return P256SigningKey.generate("https://pid.example#1")


@pytest.fixture
def holder():
    """A holder of theirs."""
    return P256SigningKey.generate("holder")
