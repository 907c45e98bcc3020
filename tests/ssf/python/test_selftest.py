"""The harness against its own references: the right ones pass every module, so what fails is what is under test."""

from __future__ import annotations

import pytest
from ssf_harness.selftest import try_receiver

FAULTS = {
    "accept-bad-signature": "openid-ssf-receiver-invalid-set-rejection",
    "accept-wrong-state": "openid-ssf-receiver-verification-wrong-state",
    "refuse-repeated": "openid-ssf-receiver-redelivered-set",
    "cut-nothing": "extra-receiver-effect-cut",
    "act-on-refused": "extra-receiver-effect-none",
    "fetch-each-time": "extra-receiver-kid-flood",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_receiver_with_this_fault_fails(fault: str) -> None:
    results = try_receiver(frozenset({fault}), [FAULTS[fault]])
    assert any(result.verdict == "fail" for result in results)


@pytest.mark.parametrize("module", sorted(set(FAULTS.values())))
def test_the_right_receiver_passes(module: str) -> None:
    assert all(result.verdict == "pass" for result in try_receiver(frozenset(), [module]))
