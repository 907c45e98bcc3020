"""Starts our transmitter once, and lets the harness in `tests/ssf` be imported."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "ssf"))

from ssf_harness.config import Credentials, Hook, TransmitterUnderTest  # noqa: E402
from ssf_harness.web import Listen  # noqa: E402


@pytest.fixture(scope="session")
def program() -> Iterator[dict[str, Any]]:
    """Our program; it says in one line of JSON where it is and how to be let in."""
    with subprocess.Popen([os.environ["SSF_TRANSMITTER"]], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())
        process.kill()


@pytest.fixture(scope="session")
def under_test(program: dict[str, Any]) -> TransmitterUnderTest:
    """The program as the harness is told of it: a receiver with tokens, one that only reads, one with a secret."""
    token_url, scope = program["token_url"], "ssf.read ssf.manage"
    return TransmitterUnderTest(
        issuer=program["issuer"],
        credentials=Credentials(None, token_url, program["client_id"], program["client_secret"], scope),
        read_only=Credentials(None, token_url, **program["reader"], scope="ssf.read"),
        other=Credentials(**program["other"]),
        listen=Listen(host="127.0.0.1", port=0),
        one_stream_per_receiver=True,
        events=program["events"],
        subject=program["subject"],
        trigger=Hook(url=program["trigger"]),
        private_push_url="https://169.254.169.254/latest/meta-data",
    )
