"""What the calls of the SDKs left in the ledger."""

import subprocess
import time
import urllib.error

import openai
import pytest
from support import ask


def test_an_answered_call_is_opened_and_closed_in_the_ledger(demo):
    raw = demo.openai("ada").chat.completions.with_raw_response.create(model=demo.best, messages=ask(), max_tokens=4)
    index = int(raw.headers["x-exeat-receipt"].split("-")[0])
    opening = demo.exeat("ledger", "show", str(index))
    assert (opening["kind"], opening["model"]) == ("open", demo.best)
    closing = closing_entry(demo, index)
    assert closing["outcome"] == "completed"
    assert closing["call"] == opening["call"]
    assert closing["usage"]["output_tokens"] == raw.parse().usage.completion_tokens


def test_another_persons_receipt_is_not_shown(demo):
    raw = demo.openai("ada").chat.completions.with_raw_response.create(model=demo.open, messages=ask(), max_tokens=2)
    receipt = raw.headers["x-exeat-receipt"]
    assert demo.receipt("ada", receipt)["proof"]
    with pytest.raises(urllib.error.HTTPError, match="404"):
        demo.receipt("minh", receipt)


def test_the_whole_record_verifies_while_the_gateway_serves(demo):
    with pytest.raises(openai.PermissionDeniedError):
        demo.openai("shared").chat.completions.create(model=demo.best, messages=ask())
    report = signed_record(demo)
    assert report["faults"] == []
    assert report["replays"]["permits"] == report["kinds"]["open"]
    assert report["replays"]["refusals"] == report["kinds"]["refusal"]


def signed_record(demo) -> dict:
    """Verifies the record once a signed checkpoint covers a refusal in it."""
    deadline = time.monotonic() + 10
    while True:
        report = demo.exeat("ledger", "verify")
        if "refusal" in report["kinds"]:
            return report
        assert time.monotonic() < deadline, "no checkpoint covers a refusal"
        time.sleep(0.2)


def closing_entry(demo, opened: int) -> dict:
    """Finds the entry that closes a call; it follows its opening closely, as these tests run one by one."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        for index in range(opened + 1, opened + 8):
            try:
                entry = demo.exeat("ledger", "show", str(index))
            except subprocess.CalledProcessError:
                break  # The log has no such entry yet.
            if entry.get("opened") == opened:
                return entry
        time.sleep(0.1)
    raise AssertionError(f"no entry closes {opened}")
