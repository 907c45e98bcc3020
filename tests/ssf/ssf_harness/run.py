"""Runs the modules of one side against an implementation."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable

from .config import ReceiverUnderTest, Timing, TransmitterUnderTest
from .emitter.server import Emitter, split_path
from .emitter.state import Settings
from .emitter.tokens import Client
from .modules import Module, judge, modules
from .receiver.lab import Lab as ReceiverLab
from .result import Failure, Notes, Result
from .transmitter.lab import Lab as TransmitterLab
from .web import Reply, Server

OnResult = Callable[[Result], None]


def run_receiver(config: ReceiverUnderTest, timing: Timing, only: Iterable[str], on_result: OnResult) -> list[Result]:
    """Runs the receiver modules, each against a transmitter of its own, on one server."""
    results = []
    numbers = itertools.count(1)
    with Server(config.listen, lambda _: Reply.of(404, {})) as server:
        for entry in modules("receiver", only):
            for delivery in [one for one in entry.deliveries if one in config.deliveries]:
                notes = Notes()
                emitter = Emitter(_settings(config, timing, server.url, next(numbers)))
                server.handler = emitter.handle
                lab = ReceiverLab(config, timing, delivery, emitter, notes)
                result = judge(entry, delivery, notes, _whole(entry, lab))
                emitter.close()
                results.append(result)
                on_result(result)
    return results


def _whole(entry: Module, lab: ReceiverLab) -> Callable[[], None]:
    def run() -> None:
        said = []
        try:
            entry.run(lab)
        except Failure as failure:
            said.append(str(failure))
        finally:
            lab.leave()
        if said or lab.log.violations:
            raise Failure("; ".join([*said, *lab.log.violations]))

    return run


def _settings(config: ReceiverUnderTest, timing: Timing, url: str, number: int) -> Settings:
    base, prefix = split_path(url)
    path = config.issuer_path if config.issuer_path is not None else f"/t/{number}"
    client = Client(config.client_id, config.client_secret, static_token=config.static_token)
    return Settings(
        base_url=base,
        path=(prefix + path).rstrip("/"),
        audience=config.audience,
        clients=[client],
        reoffer_s=timing.reoffer_s,
        long_poll_s=timing.long_poll_s,
        algorithm=config.algorithm,
    )


def run_transmitter(
    config: TransmitterUnderTest, timing: Timing, only: Iterable[str], on_result: OnResult
) -> list[Result]:
    """Runs the transmitter modules; each begins without a stream and leaves none."""
    results = []
    with Server(config.listen, lambda _: Reply.of(404, {})) as server:
        for entry in modules("transmitter", only):
            chosen: list[str | None] = [one for one in entry.deliveries if one in config.deliveries]
            for delivery in chosen if entry.deliveries else [None]:
                notes = Notes()
                lab = TransmitterLab(config, timing, delivery, server, notes)
                result = judge(entry, delivery, notes, lab.whole(entry.run))
                results.append(result)
                on_result(result)
    return results
