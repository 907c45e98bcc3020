"""Makes productions of a log from nothing, true ones and false ones; for tests only."""

import csv
import hashlib
import io
import json
from datetime import datetime
from typing import Any, Dict, List, Optional, Set

from make import (CLASS_NAMES, ENDS, HEAD_NAMES, HOUR, IN_FORCE, Draft, Log, b64, chain, dumps, entries_file, map_proof,
                  missing, opening, rfc3339, root, sha)
from story import SELECTION, Hour, counted, meter_id, sums_root

PAYLOAD_TYPE = "application/vnd.in-toto+json"
DISCLOSE = {"facts": {1}, "digests": {2, 3, 4}, "content": {5, 6}}


def instant(text: str) -> int:
    """Returns the milliseconds since 1970 of a time in UTC."""
    return round(datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() * 1000)


class Production:
    """A production before it is signed: what is in it may be changed, then `files` makes it whole."""

    def __init__(self, log: Log, first: Optional[Draft], last: Draft, custody: Draft, selection: Any = None) -> None:
        self.log, self.first, self.last, self.custody = log, first, last, custody
        self.selection = SELECTION if selection is None else selection
        self.recorded = self.selection
        self.key = chain(self.selection["name"])
        self.since = first.index if first else -1
        self.selected = [d for d in self.between(self.key) if self._is_selected(d)]
        self.shown: Dict[Draft, Set[int]] = {}
        self._show()
        self.heads = {"chain": self.span(self.key), "in_force": self.span(IN_FORCE)}
        self.sums = [self._sum(d) for d in self.reconciliations()]
        self.names = [{"class": CLASS_NAMES[self.key[0]], "name": self.selection["name"],
                       "opening": opening(self.selection["name"]).hex()}]
        self.table = self._table()
        self.extra: Dict[str, bytes] = {"timestamps/tsa.tsr": b"\x30\x22\4\x20" + sha(log.checkpoint()),
                                        "report.html": b"<p>For people.</p>\n"}
        self.engine = [{"start": d.index, "version": d.entry[10]} for d in self.starts()]
        self.listed = list(self.selected) if self.selection["disclose"] else []
        self.without: Set[str] = set()

    def between(self, key: bytes) -> List[Draft]:
        """Returns the entries of a chain between the two heads entries."""
        return [d for d in self.log.drafts[self.since + 1:self.last.index]
                if any(bytes([of]) + name == key for of, name, _, _ in d.entry.get(15, []))]

    def _is_selected(self, draft: Draft) -> bool:
        opened = draft if draft.kind in (3, 5) else draft.opened
        model = self.selection["model"]
        in_time = opened and instant(self.selection["from"]) <= opened.time < instant(self.selection["to"])
        return bool(in_time and opened and opened.index > self.since and model in (None, opened.body[6]))

    def reconciliations(self) -> List[Draft]:
        """Returns the reconciliations of the hours of selected calls: of two of one hour, the later."""
        hours = {(d.opened.body[6], d.opened.time // HOUR, d.entry.get(22)) for d in self.selected
                 if d.kind == 4 and d.opened}
        said = [(self._hour(d), d) for d in self.log.drafts if d.kind == 14]
        of = {(model, hour, meter_id(meter)): d for (model, hour, meter), d in said}
        return sorted((d for hour, d in of.items() if hour in hours), key=lambda d: d.index)

    @staticmethod
    def _hour(draft: Draft) -> Hour:
        said = json.loads(draft.fields[1])
        return said["model"], said["hour"], said["meter"]["key"].split("+")[0]

    def _show(self) -> None:
        may = set().union(*(DISCLOSE[one] for one in self.selection["disclose"]))
        for draft in self.between(self.key):
            self.shown[draft] = may & set(draft.private) if draft in self.selected else set()
        for draft in self.selected:
            if draft.facts_of is not None and 1 in may:
                self.shown[draft.facts_of] = self.shown.get(draft.facts_of, set()) | {1}
        snapshots = self.between(IN_FORCE)
        if self.first:
            before = self.log.heads_at[self.first.index].get(IN_FORCE)
            snapshots += [self.log.drafts[before[1]]] if before else []
        for draft in [*snapshots, *self.reconciliations(), self.custody]:
            self.shown[draft] = self.shown.get(draft, set()) | {1}
        for one in (self.first, self.last, *self.starts()):
            if one is not None:
                self.shown[one] = set()

    def starts(self) -> List[Draft]:
        """Returns the start entries of the processes that wrote what is between the heads."""
        before = [d for d in self.log.drafts[:self.last.index] if d.kind == 2]
        return [d for at, d in enumerate(before) if at + 1 == len(before) or before[at + 1].index > self.since]

    def span(self, key: bytes) -> Dict[str, Any]:
        return {"class": CLASS_NAMES[key[0]], "id": key[1:].hex(), "from": self.first and self.head(self.first, key),
                "to": self.head(self.last, key)}

    def head(self, at: Draft, key: bytes) -> Dict[str, Any]:
        heads = self.log.heads_at[at.index]
        leaf, path = map_proof(heads, key)
        if leaf == key:
            return {"entry": at.index, "head": dict(zip(HEAD_NAMES, heads[key])), "path": path}
        other = {} if leaf is None else {"other": {
            "class": CLASS_NAMES[leaf[0]], "id": leaf[1:].hex(), "head": dict(zip(HEAD_NAMES, heads[leaf]))}}
        return {"entry": at.index, "head": None, "path": path, **other}

    def _sum(self, draft: Draft) -> Dict[str, Any]:
        return {"entry": draft.index, "completed": self._proof(draft, True), "early": self._proof(draft, False)}

    def _proof(self, draft: Draft, completed: bool) -> Dict[str, Any]:
        calls = counted(self.log, draft.index, self._hour(draft), completed)
        mine = {d.entry[3] for d in self.selected if d.kind == 3}
        positions = [at for at, (call, _) in enumerate(calls) if call in mine]
        others = missing(calls, set(positions), sums_root) if calls else []
        return {"size": len(calls), "positions": positions, "nodes": [[top.hex(), *sums] for top, sums in others]}

    def _table(self) -> bytes:
        out = io.StringIO()
        lines = csv.writer(out, lineterminator="\n")
        lines.writerow("index time call subject model outcome code input output events closed".split())
        closes = {d.opened: d for d in self.selected if d.kind == 4}
        for draft in self.selected:
            if draft.kind not in (3, 5):
                continue
            close = closes.get(draft)
            end = (close or draft).entry
            usage = end.get(11, {}) if close else {}
            outcome = "refused" if draft.kind == 5 else ENDS[end[9]] if close else "open"
            lines.writerow([draft.index, rfc3339(draft.time), draft.entry[3].hex(), draft.entry[5].hex(),
                            draft.entry[6], outcome, end.get(10, ""), usage.get(0, ""), usage.get(1, ""),
                            usage.get(2, ""), close.index if close else ""])
        return out.getvalue().encode()

    def hashes(self) -> bytes:
        return b"".join(missing(self.log.hashes, {d.index for d in self.shown}, root))

    def predicate(self) -> Dict[str, Any]:
        return {"origin": self.log.key.name, "size": len(self.log.drafts), "selection": self.selection,
                "custody": self.custody.index, "engine": self.engine}

    def files(self) -> Dict[str, bytes]:
        """Returns all files, the manifest signed over the others."""
        shown = sorted(self.shown.items(), key=lambda item: item[0].index)
        files = {"checkpoint": self.log.checkpoint(), "log.vkey": self.log.key.vkey().encode() + b"\n",
                 "policy": self.log.policy(), "entries": entries_file(shown, self.listed), "hashes": self.hashes(),
                 "heads.json": dumps(self.heads), "sums.json": dumps(self.sums), "names.json": dumps(self.names),
                 "calls.csv": self.table, **self.extra}
        for name in self.without:
            del files[name]
        return {**files, "manifest.json": signed_manifest(self.log, files, self.predicate())}


def signed_manifest(log: Log, files: Dict[str, bytes], predicate: Any) -> bytes:
    subject = [{"name": name, "digest": {"sha256": hashlib.sha256(files[name]).hexdigest()}}
               for name in sorted(files) if name != "manifest.json"]
    payload = dumps({"_type": "https://in-toto.io/Statement/v1", "subject": subject,
                     "predicateType": "https://exeat.example/production/v1", "predicate": predicate})
    said = b"DSSEv1 %d %s %d %s" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), len(payload), payload)
    return dumps({"payloadType": PAYLOAD_TYPE, "payload": b64(payload),
                  "signatures": [{"keyid": log.key.name, "sig": b64(log.key.sign(said))}]})
