"""Makes logs, bundles and productions from nothing, true ones and false ones; for tests only.

Nothing of ours is asked but `verify.py` for the arithmetic of its curve. What is made is described in
docs/log-format.md. A log is made of drafts, so that a test can change one and have everything after it (links, heads,
sums, proofs and signatures) made anew, as somebody could who holds the log's key.
"""

import base64
import hashlib
import hmac
import json
import struct
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Callable, Collection, Dict, List, Optional, Tuple

from verify import ORDER, P, decoded, times

HOUR = 3_600_000
T0 = 1_780_300_800_000  # 2026-06-01T08:00:00Z
HERE = Path(__file__).parent
CLASS_NAMES = {1: "subject", 2: "key", 3: "organization", 4: "model", 5: "in_force"}
HEAD_NAMES = ("seq", "last", "calls", "refusals", "input", "output", "events")
IN_FORCE = b"\5" + bytes(16)
ENDS = {1: "completed", 2: "cut", 3: "client_gone", 4: "upstream_failed", 5: "interrupted", 6: "not_served"}


def sha(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def b64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def dumps(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def canonical(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, sort_keys=True).encode()


def rfc3339(at: int) -> str:
    text = (datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(milliseconds=at)).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


class Signer:
    """An Ed25519 key (RFC 8032 section 5.1.6) with a name."""

    def __init__(self, name: str) -> None:
        self.name = name
        digest = hashlib.sha512(sha(b"test key", name.encode())).digest()
        scalar = bytearray(digest[:32])
        scalar[0] &= 248
        scalar[31] = scalar[31] & 127 | 64
        self.scalar, self.prefix = int.from_bytes(scalar, "little"), digest[32:]
        self.public = self._encoded(self.scalar)

    @staticmethod
    def _encoded(scalar: int) -> bytes:
        x, y, z, _ = times(scalar, decoded(b"\x58" + b"\x66" * 31))
        inverse = pow(z, P - 2, P)
        return (y * inverse % P | (x * inverse % P & 1) << 255).to_bytes(32, "little")

    def sign(self, message: bytes) -> bytes:
        def number(*parts: bytes) -> int:
            return int.from_bytes(hashlib.sha512(b"".join(parts)).digest(), "little") % ORDER

        nonce = number(self.prefix, message)
        point = self._encoded(nonce)
        k = number(point, self.public, message)
        return point + ((nonce + k * self.scalar) % ORDER).to_bytes(32, "little")

    def id(self, algorithm: int) -> bytes:
        return sha(self.name.encode(), b"\n", bytes([algorithm]), self.public)[:4]

    def vkey(self, algorithm: int = 1) -> str:
        return f"{self.name}+{self.id(algorithm).hex()}+{b64(bytes([algorithm]) + self.public)}"

    def line(self, text: bytes) -> str:
        return f"\u2014 {self.name} {b64(self.id(1) + self.sign(text))}\n"

    def cosign(self, text: bytes, at: int) -> str:
        said = self.sign(b"cosignature/v1\ntime %d\n" % at + text)
        return f"\u2014 {self.name} {b64(self.id(4) + struct.pack('>Q', at) + said)}\n"


def cbor(value: Any) -> bytes:
    def head(major: int, size: int) -> bytes:
        if size < 24:
            return bytes([major << 5 | size])
        for info, width in ((24, 1), (25, 2), (26, 4), (27, 8)):
            if size < 1 << 8 * width:
                return bytes([major << 5 | info]) + size.to_bytes(width, "big")
        raise ValueError(size)

    if isinstance(value, int):
        return head(0, value)
    if isinstance(value, bytes):
        return head(2, len(value)) + value
    if isinstance(value, str):
        return head(3, len(value.encode())) + value.encode()
    if isinstance(value, (list, tuple)):
        return head(4, len(value)) + b"".join(map(cbor, value))
    return head(5, len(value)) + b"".join(cbor(key) + cbor(of) for key, of in sorted(value.items()))


def opening(name: str) -> bytes:
    return sha(b"opening", name.encode())[:16]


def pseudonym(name: str) -> bytes:
    return sha(b"exeat/pseudonym/v2", opening(name), name.encode())[:16]


CLASS_OF = {"person": 1, "workload": 1, "key": 2, "organization": 3, "model": 4}


def chain(name: str) -> bytes:
    """Returns the key of the chain of a name, such as `organization:acme`."""
    return bytes([CLASS_OF[name.split(":")[0]]]) + pseudonym(name)


@dataclass(eq=False)
class Draft:
    """An entry before it has its place: `late` fills in what only then is known, `tweak` changes what was made."""

    kind: int
    time: int
    body: Dict[int, Any] = field(default_factory=dict)
    fields: Dict[int, bytes] = field(default_factory=dict)
    chains: List[bytes] = field(default_factory=list)
    opened: Optional["Draft"] = None
    facts_of: Optional["Draft"] = None
    late: Optional[Callable[["Log", "Draft"], None]] = None
    tweak: Optional[Callable[[Dict[int, Any]], None]] = None
    index: int = -1
    entry: Dict[int, Any] = field(default_factory=dict)
    private: Dict[int, Tuple[bytes, bytes]] = field(default_factory=dict)
    leaf: bytes = b""

    def encode(self) -> None:
        """Commits to the private part and spells the entry."""
        if self.fields:
            self.entry[18] = 2026 * 4 + 1
            if self.kind not in (3, 4, 5):
                self.entry[19] = sha(b"nonce", struct.pack(">q", self.index))[:8]
            key = sha(b"key of the subject", self.entry.get(5, bytes(16)))
            common = bytes([self.kind]) + self.entry.get(3, bytes(16)) + self.entry.get(19, bytes(8))
            for name, value in sorted(self.fields.items()):
                salt = hmac.digest(key, b"exeat/salt/v2" + common + bytes([name]), "sha256")[:16]
                self.private[name] = (salt, value)
            self.entry[12] = sha(b"exeat/private/v2", *(
                bytes([name]) + commitment(name, *of) for name, of in self.private.items()))
        if self.tweak is not None:
            self.tweak(self.entry)
        self.leaf = cbor(self.entry)


def commitment(name: int, salt: bytes, value: bytes) -> bytes:
    return hmac.digest(salt, b"exeat/field/v2" + bytes([name]) + struct.pack(">Q", len(value)) + value, "sha256")


def node(left: bytes, right: bytes) -> bytes:
    return sha(b"\1", left, right)


def root(hashes: List[bytes]) -> bytes:
    """Returns the root of a tree, straight from the definition."""
    if len(hashes) < 2:
        return hashes[0] if hashes else sha()
    middle = 1
    while middle * 2 < len(hashes):
        middle *= 2
    return node(root(hashes[:middle]), root(hashes[middle:]))


def missing(leaves: List[Any], shown: set, of: Callable[[List[Any]], Any], low: int = 0) -> List[Any]:
    """Returns the roots of the ranges in which nothing is shown, from left to right."""
    if not any(low <= at < low + len(leaves) for at in shown):
        return [of(leaves)]
    if len(leaves) == 1:
        return []
    middle = 1
    while middle * 2 < len(leaves):
        middle *= 2
    return missing(leaves[:middle], shown, of, low) + missing(leaves[middle:], shown, of, low + middle)


def head_leaf(key: bytes, head: List[int]) -> bytes:
    return sha(b"\0", key, struct.pack(">7Q", *head))


def bit_of(key: bytes, bit: int) -> int:
    return key[bit // 8] >> (7 - bit % 8) & 1


def map_root(heads: Dict[bytes, List[int]]) -> bytes:
    if len(heads) < 2:
        return sha() if not heads else head_leaf(*next(iter(heads.items())))
    bit = next(bit for bit in range(136) if len({bit_of(key, bit) for key in heads}) == 2)
    sides = ({key: head for key, head in heads.items() if bit_of(key, bit) == side} for side in (0, 1))
    return sha(b"\1", struct.pack(">H", bit), *map(map_root, sides))


def map_proof(heads: Dict[bytes, List[int]], key: bytes) -> Tuple[Optional[bytes], List[Any]]:
    """Returns the key of the leaf to which `key` leads and the way up from it."""
    if not heads:
        return None, []
    path: List[Any] = []
    while len(heads) > 1:
        bit = next(bit for bit in range(136) if len({bit_of(key, bit) for key in heads}) == 2)
        other = {k: head for k, head in heads.items() if bit_of(k, bit) != bit_of(key, bit)}
        heads = {k: head for k, head in heads.items() if k not in other}
        path.insert(0, [bit, map_root(other).hex()])
    return next(iter(heads)), path


class Log:
    """Drafts in their places: entries, heads, and the keys that sign."""

    def __init__(self, drafts: List[Draft], name: str = "log.example.com/exeat/1") -> None:
        self.key, self.meter = Signer(name), Signer("meter.example.com/1")
        self.witnesses = [Signer("witness.example.com/a"), Signer("witness.example.org/b")]
        self.drafts = drafts
        self.heads: Dict[bytes, List[int]] = {}
        self.heads_at: Dict[int, Dict[bytes, List[int]]] = {}
        for index, draft in enumerate(drafts):
            draft.index = index
        for index, draft in enumerate(drafts):
            self._put(index, draft)
        self.hashes = [sha(b"\0", draft.leaf) for draft in drafts]

    def _put(self, index: int, draft: Draft) -> None:
        draft.private = {}
        if draft.late is not None:
            draft.late(self, draft)
        draft.entry = {0: 2, 1: draft.kind, 2: draft.time, **draft.body}
        if draft.opened is not None:
            draft.entry[4] = max(draft.opened.index, 0)
        if draft.facts_of is not None:
            draft.entry[16] = draft.facts_of.index
        if draft.chains:
            heads = [(key, self.heads.get(key, [0] * 7)) for key in sorted(draft.chains)]
            draft.entry[15] = [[key[0], key[1:], head[0], index - head[1] if head[0] else 0] for key, head in heads]
        if draft.kind == 11:
            draft.entry.update({20: map_root(self.heads), 21: index})
            self.heads_at[index] = {key: list(head) for key, head in self.heads.items()}
        draft.encode()
        self._count(draft)

    def _count(self, draft: Draft) -> None:
        """Counts what the entry says, also where a tweak made it say something else."""
        usage = draft.entry.get(11, {}) if draft.kind == 4 else {}
        for of, name, _, _ in draft.entry.get(15, []):
            head = self.heads.setdefault(bytes([of]) + name, [0] * 7)
            head[:2] = [head[0] + 1, draft.index]
            head[2] += draft.kind == 3
            head[3] += draft.kind == 5
            for at, key in ((4, 0), (5, 1), (6, 2)):
                head[at] += usage.get(key, 0)

    def checkpoint(self, size: Optional[int] = None) -> bytes:
        size = len(self.drafts) if size is None else size
        text = f"{self.key.name}\n{size}\n{b64(root(self.hashes[:size]))}\n".encode()
        lines = self.key.line(text) + "".join(witness.cosign(text, T0 // 1000) for witness in self.witnesses)
        return text + b"\n" + lines.encode()

    def policy(self) -> bytes:
        lines = [f"log {self.key.vkey()}"]
        lines += [f"witness w{at} {witness.vkey(4)}" for at, witness in enumerate(self.witnesses)]
        return "\n".join([*lines, "group both all w0 w1", "quorum both", ""]).encode()

    def bundle(self, withheld: Callable[[Draft], bool] = lambda draft: False) -> Dict[str, bytes]:
        """Returns the files of the whole log."""
        entries = [(d, set() if withheld(d) else set(d.private)) for d in self.drafts]
        files = {"checkpoint": self.checkpoint(), "log.vkey": self.key.vkey().encode() + b"\n",
                 "entries": entries_file(entries)}
        return {**files, "manifest.json": bundle_manifest(self.key.name, len(self.drafts), files)}


def bundle_manifest(origin: str, size: int, files: Dict[str, bytes]) -> bytes:
    lines = ["{", '  "format": "exeat-bundle/v2",', f'  "origin": "{origin}",', '  "first": 0,', f'  "size": {size},']
    for name, end in (("checkpoint", ","), ("log.vkey", ","), ("entries", "")):
        digest = hashlib.sha256(files[name]).hexdigest()
        lines.append(f'  "{name}": {{"bytes": {len(files[name])}, "sha256": "{digest}"}}{end}')
    return "\n".join([*lines, "}", ""]).encode()


def entries_file(entries: List[Tuple[Draft, set]], listed: Collection[Draft] = ()) -> bytes:
    """Returns `entries`: each with the fields that are shown; where none is, what there is is told of those listed."""
    out = [b"exeat-entries/v2"]
    for draft, shown in entries:
        out.append(struct.pack(">QH", draft.index, len(draft.leaf)) + draft.leaf)
        fields = draft.private if shown or draft in listed else {}
        out.append(bytes([len(fields)]))
        for name, (salt, value) in fields.items():
            if name in shown:
                out.append(bytes([name, 1]) + salt + struct.pack(">I", len(value)) + value)
            else:
                out.append(bytes([name, 0]) + commitment(name, salt, value))
    return b"".join(out)


