"""Runs a command while `exeat demo` serves a real model: with_demo.py -- COMMAND [ARGUMENT ...]

Starts `$EXEAT_BIN demo --headless`, waits until it answers, runs the command with `$EXEAT_READY` naming the file that
holds addresses and keys, and stops the demo. Ends with the command's exit code, or with 1 if the demo does not start
or does not stop in good order.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

# The first run installs the model: about 130 MB over the network.
READY_WITHIN = 600
STOPPED_WITHIN = 30


def main() -> int:
    command = sys.argv[sys.argv.index("--") + 1 :]
    cache = Path(os.environ.get("EXEAT_SDK_CACHE", tempfile.gettempdir())) / "demo"
    with tempfile.TemporaryDirectory(prefix="exeat-sdk-") as folder:
        ready = Path(folder) / "ready.json"
        demo = start(ready, cache)
        try:
            wait_until_ready(demo, ready)
            code = subprocess.run(command, env={**os.environ, "EXEAT_READY": str(ready)}).returncode
        finally:
            stopped = stop(demo)
    return code or (0 if stopped == 0 else 1)


def start(ready: Path, data: Path) -> subprocess.Popen:
    """Starts the demo on free ports; the model stays in `data` for the next run."""
    binary = os.environ["EXEAT_BIN"]
    arguments = ["demo", "--headless", "--ready-file", ready, "--data", data, "--port", "0", "--admin-port", "0"]
    return subprocess.Popen([binary, *map(str, arguments)])


def wait_until_ready(demo: subprocess.Popen, ready: Path) -> None:
    deadline = time.monotonic() + READY_WITHIN
    while not (ready.exists() and ready.read_text()):
        if demo.poll() is not None:
            sys.exit(f"the demo ended with {demo.returncode} before it was ready")
        if time.monotonic() > deadline:
            sys.exit(f"the demo was not ready after {READY_WITHIN} s")
        time.sleep(0.1)


def stop(demo: subprocess.Popen) -> int:
    """Asks the demo to drain and end; returns its exit code."""
    if demo.poll() is None:
        demo.send_signal(signal.SIGINT)
    try:
        return demo.wait(STOPPED_WITHIN)
    except subprocess.TimeoutExpired:
        demo.kill()
        print(f"the demo did not stop within {STOPPED_WITHIN} s", file=sys.stderr)
        return demo.wait()


if __name__ == "__main__":
    sys.exit(main())
