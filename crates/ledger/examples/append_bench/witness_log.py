"""Appends records to a journal of witness-log for a while; prints what it took as JSON.

usage: witness_log.py JOURNAL SECONDS RECORDS_PER_SYNC RECORD_IN_HEX

A record counts as durable when the sync after it has returned. With RECORDS_PER_SYNC 0 nothing is synced until the end:
that is how the package works unless it is told otherwise.
"""

import json
import os
import sys
import time

import witness_log


def main(journal, seconds, per_sync, record):
    log = witness_log.JournaledLog.create(journal, bytes(range(32)))
    took, waiting, syncs = [], [], 0
    cpu, began = time.process_time(), time.monotonic()
    while time.monotonic() - began < seconds:
        waiting.append(time.monotonic())
        log.append_intent(record + len(took).to_bytes(8, "big"))
        if len(waiting) == per_sync or not per_sync:
            if per_sync:
                log.sync()
                syncs += 1
            now = time.monotonic()
            took.extend(now - since for since in waiting)
            waiting.clear()
    elapsed = time.monotonic() - began
    log.sync()
    spent = time.process_time() - cpu
    log.close()
    stored = sum(os.path.getsize(name) for name in (journal, journal + ".salts") if os.path.exists(name))
    print(json.dumps({
        "micros": [round(one * 1e6) for one in took], "seconds": elapsed, "syncs": syncs, "cpu_seconds": spent,
        "bytes_per_record": stored / max(len(took) + len(waiting), 1),
    }))


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]), bytes.fromhex(sys.argv[4]))
