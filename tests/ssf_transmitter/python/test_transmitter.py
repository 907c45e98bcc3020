"""Every module of the harness for transmitters against our transmitter, under each method of delivery."""

from __future__ import annotations

import dataclasses

import pytest
from ssf_harness.config import Timing, TransmitterUnderTest
from ssf_harness.modules import modules
from ssf_harness.run import run_transmitter

TIMING = Timing(answer_s=10, silence_s=1.5, held_s=10, grace_s=0.4, reoffer_s=0.3, long_poll_s=6)
CASES = [(entry.name, delivery) for entry in modules("transmitter", []) for delivery in entry.deliveries or (None,)]


@pytest.mark.parametrize(("name", "delivery"), CASES)
def test_module(under_test: TransmitterUnderTest, name: str, delivery: str | None) -> None:
    """Passes; what the harness skips is skipped here too."""
    config = dataclasses.replace(under_test, deliveries=[delivery] if delivery else under_test.deliveries)
    results = [one for one in run_transmitter(config, TIMING, [name], lambda _: None) if one.module == name]
    assert len(results) == 1
    result = results[0]
    if result.verdict == "skip":
        pytest.skip(result.reason)
    assert result.verdict == "pass", result.line()
