"""Every receiver module of the harness, by push and by poll, against `SSF_RECEIVER` (crates/federation/examples)."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

import pytest
from ssf_harness.config import Hook, ReceiverUnderTest, Timing
from ssf_harness.modules import modules
from ssf_harness.result import Result
from ssf_harness.run import run_receiver

# A loaded machine needs longer answers; what is waited for in vain is kept short.
TIMING = Timing(
    answer_s=12, silence_s=0.6, held_s=8, abandoned_s=0.6, grace_s=0.4, token_s=2, reoffer_s=0.4, long_poll_s=2
)
DELIVERIES = ("push", "poll")
CASES = [(entry.name, delivery) for entry in modules("receiver", []) for delivery in entry.deliveries]


@contextmanager
def receiver() -> Iterator[dict[str, str]]:
    """Our receiver in a process of its own, which tells where it is on its first line."""
    with subprocess.Popen([os.environ["SSF_RECEIVER"]], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield json.loads(process.stdout.readline())
        finally:
            process.kill()


def ran(delivery: str, names: set[str]) -> dict[tuple[str, str], Result]:
    """Runs modules by one delivery, one after the other, against one receiver."""
    # A pattern that is no part of any name: a name may be part of another.
    patterns = [f"[{name[0]}]{name[1:]}" for name in names]
    results: list[Result] = []
    with receiver() as ours:
        config = ReceiverUnderTest(
            deliveries=[delivery],
            drive=Hook(url=ours["drive"]),
            observe=Hook(url=ours["observe"]),
            require_events=True,
            jwks_fetches=2,
            # An answer to a poll is read up to 1 MiB: what is longer cannot even be refused by name.
            oversized_bytes=600_000,
        )
        run_receiver(config, TIMING, patterns, results.append)
    return {(result.module, delivery): result for result in results}


@pytest.fixture(scope="session")
def results(request: pytest.FixtureRequest) -> dict[tuple[str, str], Result]:
    """What became of every module that was asked for: by push and by poll at once, each against its own receiver."""
    specs = [item.callspec.params for item in request.session.items if hasattr(item, "callspec")]
    asked = [params["case"] for params in specs if "case" in params]
    names = {delivery: {name for name, by in asked if by == delivery} for delivery in DELIVERIES}
    with ThreadPoolExecutor(len(DELIVERIES)) as pool:
        runs = [pool.submit(partial(ran, delivery, names[delivery])) for delivery in DELIVERIES if names[delivery]]
        return {case: result for run in runs for case, result in run.result().items()}


@pytest.mark.parametrize("case", CASES, ids=["-".join(case) for case in CASES])
def test_module(case: tuple[str, str], results: dict[tuple[str, str], Result]) -> None:
    result = results[case]
    assert result.verdict == "pass", result.line()
