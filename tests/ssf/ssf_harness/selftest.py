"""Proof that the harness can fail: right references pass every module, each broken one fails the module that is named."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from .config import Config, Credentials, Hook, ReceiverUnderTest, Timing, TransmitterUnderTest
from .emitter.server import Emitter
from .emitter.state import Settings
from .emitter.tokens import READ, Client
from .mutants import RECEIVER_MUTANTS, TRANSMITTER_MUTANTS, Mutant
from .reference.receiver import Receiver
from .result import Result
from .run import run_receiver, run_transmitter
from .web import Listen, Reply, Server

QUICK = Timing(
    answer_s=4, silence_s=0.6, held_s=3, abandoned_s=0.4, grace_s=0.25, token_s=1, reoffer_s=0.3, long_poll_s=0.5
)
PARALLEL = 4


@dataclass(frozen=True)
class Trial:
    """One run of the harness against one reference, right or broken."""

    mutant: Mutant | None
    side: str
    results: list[Result]

    @property
    def is_good(self) -> bool:
        """Whether the harness said what it had to say."""
        if self.mutant is None:
            return bool(self.results) and all(result.verdict == "pass" for result in self.results)
        return any(
            result.verdict == "fail" and not result.reason.startswith("the harness itself") for result in self.results
        )

    def line(self) -> str:
        if self.mutant is None:
            wrong = [result for result in self.results if result.verdict != "pass"]
            verdict = "PASS" if self.is_good else "FAIL"
            return "\n".join(
                [f"{verdict} the right {self.side}: {len(self.results)} results", *(result.line() for result in wrong)]
            )
        said = next((result.reason for result in self.results if result.verdict == "fail"), "not detected")
        return f"{'PASS' if self.is_good else 'FAIL'} {self.side} `{self.mutant.fault}`: {self.mutant.module}: {said}"


def selftest(only: list[str], on_trial: Callable[[Trial], None]) -> list[Trial]:
    """Tries the right references and every mutant (or those whose fault or module is in `only`)."""
    trials: list[tuple[str, Mutant | None]] = [] if only else [("receiver", None), ("transmitter", None)]
    trials += [("receiver", mutant) for mutant in RECEIVER_MUTANTS if _wanted(mutant, only)]
    trials += [("transmitter", mutant) for mutant in TRANSMITTER_MUTANTS if _wanted(mutant, only)]
    done = []
    with ThreadPoolExecutor(PARALLEL) as pool:
        for trial in pool.map(lambda pair: _try(*pair), trials):
            on_trial(trial)
            done.append(trial)
    return done


def _wanted(mutant: Mutant, only: list[str]) -> bool:
    return not only or any(want in (mutant.fault, mutant.module) or want in mutant.fault for want in only)


def _try(side: str, mutant: Mutant | None) -> Trial:
    faults = frozenset({mutant.fault}) if mutant else frozenset()
    only = [mutant.module] if mutant else []
    run = try_receiver if side == "receiver" else try_transmitter
    return Trial(mutant, side, run(faults, only))


def try_receiver(faults: frozenset[str], only: list[str], algorithm: str = "RS256") -> list[Result]:
    """Runs receiver modules against the reference receiver with these faults."""
    receiver = Receiver(faults)
    hook = Hook(url=receiver.server.url + "/drive", timeout_s=20)
    config = ReceiverUnderTest(
        drive=hook,
        observe=Hook(url=receiver.server.url + "/observe"),
        require_events=True,
        algorithm=algorithm,
        cut_within_ms=500,
    )
    try:
        return run_receiver(config, QUICK, only, lambda _: None)
    finally:
        receiver.stop()


def try_transmitter(faults: frozenset[str], only: list[str]) -> list[Result]:
    """Runs transmitter modules against the harness's own transmitter with these faults."""
    with Server(Listen(), lambda _: Reply.of(404, {})) as server:
        emitter = Emitter(_settings(server.url), faults)
        emitter.script.extra_members = False
        server.handler = emitter.handle
        try:
            return run_transmitter(_transmitter(emitter), QUICK, only, lambda _: None)
        finally:
            emitter.close()


def _settings(url: str) -> Settings:
    clients = [
        Client("receiver", "receiver-secret"),
        Client("reader", "reader-secret", frozenset({READ})),
        Client("other", "other-secret"),
    ]
    return Settings(
        url, "/ssf", "https://receiver.example.com", clients, QUICK.reoffer_s, QUICK.long_poll_s, 1, one_stream=True
    )


def _transmitter(emitter: Emitter) -> TransmitterUnderTest:
    token_url = emitter.url("token")
    mine = Credentials(
        token_url=token_url, client_id="receiver", client_secret="receiver-secret", scope="ssf.read ssf.manage"
    )
    return TransmitterUnderTest(
        issuer=emitter.issuer,
        credentials=mine,
        read_only=replace(mine, client_id="reader", client_secret="reader-secret", scope="ssf.read"),
        other=replace(mine, client_id="other", client_secret="other-secret"),
        one_stream_per_receiver=True,
        trigger=Hook(url=emitter.url("trigger")),
        private_push_url="http://169.254.169.254/latest/meta-data",
    )


def references() -> Config:
    """Returns the timing that the references are tried with, for those who try others."""
    return Config(timing=QUICK)
