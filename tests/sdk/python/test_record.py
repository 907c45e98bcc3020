"""What the calls of the SDKs left in the ledger."""

import time

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
    with pytest.raises(Exception, match="404"):
        demo.receipt("minh", receipt)


def test_the_whole_record_verifies_while_the_gateway_serves(demo):
    with pytest.raises(openai.PermissionDeniedError):
        demo.openai("shared").chat.completions.create(model=demo.best, messages=ask())
    assert demo.exeat("ledger", "verify")["holds"] is True


def closing_entry(demo, opened: int) -> dict:
    """Finds the entry that closes a call; it follows its opening closely, as these tests run one by one."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        for index in range(opened + 1, opened + 8):
            try:
                entry = demo.exeat("ledger", "show", str(index))
            except Exception:
                break
            if entry.get("opened") == opened:
                return entry
        time.sleep(0.1)
    raise AssertionError(f"no entry closes {opened}")
