"""`python -m ssf_harness`: run the modules against an implementation, or the harness against itself."""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from pathlib import Path

from .config import Config, load
from .modules import modules
from .result import Result
from .run import run_receiver, run_transmitter
from .selftest import Trial, selftest

SIDES = ("receiver", "transmitter")


def main() -> int:
    """Returns 0 if nothing failed, 1 if something did, 2 if nothing could be run as asked."""
    # Weak keys are made on purpose: a receiver must refuse them.
    warnings.filterwarnings("ignore", message="Key size should be")
    asked = _arguments()
    if asked.command == "list":
        return _list(asked.only)
    if asked.command == "selftest":
        return _selftest(asked.only)
    try:
        config = load(asked.config)
    except (OSError, ValueError) as error:
        print(f"{asked.config}: {error}", file=sys.stderr)
        return 2
    return _run(config, asked)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="ssf_harness", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for side in (*SIDES, "all"):
        command = commands.add_parser(side, help=f"test {'both sides' if side == 'all' else 'a ' + side}")
        command.add_argument("--config", type=Path, required=True, help="what is under test")
        command.add_argument("--json", type=Path, help="also write the results to this file")
        command.add_argument("--strict", action="store_true", help="a warning or a skip is a failure")
    commands.add_parser("selftest", help="test the harness against its references and their mutants")
    commands.add_parser("list", help="list the modules")
    for command in commands.choices.values():
        command.add_argument(
            "--only", action="append", default=[], metavar="NAME", help="part of a name, or a pattern; repeatable"
        )
    return parser.parse_args()


def _list(only: list[str]) -> int:
    for side in SIDES:
        for entry in modules(side, only):
            print(f"{entry.name} [{', '.join(entry.deliveries) or 'any delivery'}]: {entry.summary}")
    return 0


def _run(config: Config, asked: argparse.Namespace) -> int:
    results: list[Result] = []
    if asked.command in ("receiver", "all") and config.receiver:
        results += run_receiver(config.receiver, config.timing, asked.only, _print)
    if asked.command in ("transmitter", "all") and config.transmitter:
        results += run_transmitter(config.transmitter, config.timing, asked.only, _print)
    counts = {verdict: sum(result.verdict == verdict for result in results) for verdict in ("pass", "fail", "skip")}
    print(", ".join(f"{count} {verdict}" for verdict, count in counts.items()))
    if asked.json:
        document = {"counts": counts, "results": [result.document() for result in results]}
        asked.json.write_text(json.dumps(document, indent=1) + "\n")
    if not results:
        print(
            "no module was run: does the configuration have this side, and does `--only` name a module?",
            file=sys.stderr,
        )
        return 2
    return int(any(_is_bad(result, asked.strict) for result in results))


def _print(result: Result) -> None:
    print(result.line(), flush=True)


def _is_bad(result: Result, strict: bool) -> bool:
    return result.verdict == "fail" or (strict and (result.verdict == "skip" or bool(result.warnings)))


def _selftest(only: list[str]) -> int:
    trials = selftest(only, _print_trial)
    bad = [trial for trial in trials if not trial.is_good]
    mutants = sum(trial.mutant is not None for trial in trials)
    print(f"{len(trials) - len(bad)} of {len(trials)} trials as they must be, {mutants} of them mutants")
    return int(bool(bad) or not trials)


def _print_trial(trial: Trial) -> None:
    print(trial.line(), flush=True)


if __name__ == "__main__":
    sys.exit(main())
