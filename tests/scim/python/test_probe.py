"""scim-sanity probes our server, strictly and as a common directory would."""

import json
import subprocess
import sys

import pytest


@pytest.mark.parametrize("mode", [["--strict"], ["--profile", "entra", "--compat"]])
def test_the_probe_finds_nothing_wrong(server, mode):
    command = [sys.executable, "-m", "scim_sanity", "probe", server.url, "--token", server.token]
    command += ["--i-accept-side-effects", "--json-output", *mode]
    probed = subprocess.run(command, capture_output=True, text=True, timeout=120)
    report = json.loads(probed.stdout)
    failed = [result for result in report["results"] if result["status"] not in ("pass", "skip")]
    assert (probed.returncode, failed, report["issues"]) == (0, [], [])
    assert report["summary"]["passed"] >= 28
    skipped = [result["name"] for result in report["results"] if result["status"] == "skip"]
    assert all("Agent" in name for name in skipped), "only what is no part of RFC 7643 is passed over"
