"""A bucket, and our program before it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import boto3

SPAN = 65_536
# A whole file and a tail that stays in the log.
LEAVES = SPAN + 100
REGION = "us-east-1"


def client_of(server: str):
    return boto3.client(
        "s3", endpoint_url=server, aws_access_key_id="key", aws_secret_access_key="secret", region_name=REGION
    )


def program(server: str, mark: Path) -> Callable[..., object]:
    """Our program, whose buckets are those of a server; its answer is JSON."""
    environment = {
        **os.environ,
        "LAKE_MARK": str(mark),
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": REGION,
        "AWS_ENDPOINT_URL": server,
        "AWS_ALLOW_HTTP": "true",
    }

    def run(*words: object) -> object:
        command = [os.environ["LAKE_PEER"], *map(str, words)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run
