#!/usr/bin/env python3
"""Checks the record of an Exeat gateway, offline, with nothing but Python's standard library.

Written from docs/log-format.md alone: numbers in comments are sections and points of that page. It does not decide
again (of points 9 to 11 it checks that each decision names the snapshot in force), does not check the desk's approvals
in whole logs, nor verify what is not Ed25519: for time stamps there is `openssl ts -verify`; cosignatures with ML-DSA
count for nothing. It reads everything into memory. Exit status: 0 if all holds, 1 if not, 2 if that is not known.
"""

import argparse
import base64
import csv
import hashlib
import hmac
import io
import json
import re
import stat
import struct
import sys
from bisect import bisect_left
from collections import namedtuple
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Callable, Iterator, Optional

# Keys of an entry (1), their types where it is not a number (a number here is a length in bytes), and its kinds.
(VERSION, KIND, TIME, CALL, OPENED, SUBJECT, MODEL, SNAPSHOT, BASIS, OUTCOME, CODE, USAGE, PRIVATE, _, ASKED, LINKS,
 FACTS_AT, LEASE, EPOCH, NONCE, ROOT, COVERED, METER) = range(23)
TYPES = {CALL: 16, SUBJECT: 16, SNAPSHOT: 32, PRIVATE: 32, NONCE: 8, ROOT: 32, METER: 8, MODEL: str, BASIS: list,
         CODE: str, USAGE: dict, ASKED: str, LINKS: list}
(GENESIS, START, OPEN, CLOSE, REFUSAL, IN_FORCE, REGISTRY, ADMIN, REDECISION, STOP, HEADS, MORE, METERED,
 RECONCILED) = range(1, 15)
CLASSES = {"subject": 1, "key": 2, "organization": 3, "model": 4, "in_force": 5}
SNAPSHOTS = b"\5" + bytes(16)  # the chain of what was in force
FIELDS = {OPEN: {1, 2, 5}, CLOSE: {1, 3, 4, 6}}  # of private parts (2); all others have field 1 alone
FACTS, LONGEST, FURTHEST, GRACE = 1 << 20, 1 << 24, 1 << 17, 10_000  # bytes, bytes, entries, milliseconds
DISCLOSE = {"facts": {1}, "digests": {2, 3, 4}, "content": {5, 6}}
ENDS = ["open", "completed", "cut", "client_gone", "upstream_failed", "interrupted", "not_served"]
HEAD = "seq last calls refusals input output events"
MOST = {"manifest.json": 1 << 24, **dict.fromkeys(["checkpoint", "log.vkey", "policy"], 1 << 20),
        **dict.fromkeys(["heads.json", "sums.json", "names.json"], 1 << 30)}  # bytes
FILES = "calls.csv checkpoint entries hashes heads.json log.vkey manifest.json names.json policy sums.json".split()


class Wrong(Exception):
    """What does not hold; and, once it has come through a `check`, which check says so."""


def must(holds: Any, what: str, *check_name: str) -> None:
    """Refuses what does not hold."""
    if not holds:
        raise Wrong(what, *check_name)


@contextmanager
def check(name: str) -> Iterator[None]:
    """Gives its name to what is found wrong inside, also where something is not of the form that it must have."""
    try:
        yield
    except Wrong as wrong:
        raise wrong if len(wrong.args) == 2 else Wrong(wrong.args[0], name) from None
    except (ArithmeticError, AttributeError, LookupError, MemoryError, RecursionError, TypeError, ValueError,
            struct.error) as error:
        raise Wrong(f"is not of its form ({type(error).__name__}: {error})", name) from None


def read(path: Path) -> bytes:
    """Reads a regular file, not a link to one, of at most so many bytes as one of its name may have."""
    about, most = path.lstat(), MOST.get(path.name, 1 << 32)
    good = stat.S_ISREG(about.st_mode) and about.st_size <= most
    must(good, f"`{path}` is not a file of at most {most} bytes", "manifest")
    return path.read_bytes()


def sha(*parts: bytes) -> bytes:
    """Returns the SHA-256 of the parts, joined."""
    return hashlib.sha256(b"".join(parts)).digest()


def naturals(values: Any) -> list[int]:
    """Returns a list of unsigned integers of 64 bits, of which JSON's `true` is none."""
    must(all(type(one) is int and 0 <= one < 1 << 64 for one in values), "there is something else in place of a number")
    return list(values)


def numbers(*values: int) -> bytes:
    """Spells numbers, 8 bytes each."""
    return struct.pack(f">{len(values)}Q", *naturals(values))


def unbase64(text: str) -> bytes:
    """Reads base64 with padding, in its one spelling."""
    data = base64.b64decode(text, validate=True)
    must(base64.b64encode(data).decode() == text, f"`{text[:40]}` is not base64 in its one spelling")
    return data


def unbase64url(text: str) -> bytes:
    """Reads base64url without padding, in its one spelling."""
    must(set("+/=").isdisjoint(text), f"`{text[:40]}` is not base64url")
    return unbase64(text.translate(str.maketrans("-_", "+/")) + "=" * (-len(text) % 4))


def unhex(text: str, size: int) -> bytes:
    """Reads so many bytes in hexadecimal digits."""
    must(re.fullmatch("[0-9a-f]{%d}" % (2 * size), text), f"`{text[:80]}` is not {size} bytes in hexadecimal digits")
    return bytes.fromhex(text)


def parse(data: Optional[bytes]) -> Any:
    """Reads JSON in which no object names a member twice and every number is unsigned."""
    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        must(len(dict(pairs)) == len(pairs), "a member of its JSON is named twice")
        return dict(pairs)

    def number(text: str) -> int:
        must(text.isdigit() and len(text) <= 20, f"`{text[:40]}` is not an unsigned integer of 64 bits")
        return int(text)

    must(data is not None, "a field that this needs is withheld")
    value = json.loads(data.decode(), object_pairs_hook=members, parse_int=number, parse_float=number,
                       parse_constant=number)
    json.dumps(value, ensure_ascii=False).encode()  # which half a surrogate pair has no spelling for
    return value


def record(value: Any, names: str, counts: str = "") -> list[Any]:
    """Returns the members of a JSON object that has exactly these; `counts` are numbers."""
    members = names.split() + counts.split()
    must(type(value) is dict and sorted(value) == sorted(members), f"an object does not have just {members}")
    naturals(value[name] for name in counts.split())
    return [value[name] for name in members]


def items(value: Any) -> list[Any]:
    """Returns a JSON array, which an empty object is not."""
    must(type(value) is list, "there is something else in place of an array")
    return value


def canonical(value: Any) -> bytes:
    """Spells JSON as RFC 8785 does, for acts and selections: text, integers, and member names in ASCII."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def moment(text: str) -> int:
    """Returns the milliseconds since 1970 of a time in RFC 3339, in UTC."""
    found = re.fullmatch(r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,3}))?Z", text)
    must(found and text >= "1970", f"`{text}` is not a time in UTC")
    since = datetime.fromisoformat(found[1]) - datetime(1970, 1, 1)
    return since // timedelta(milliseconds=1) + int((found[2] or "0").ljust(3, "0"))


# Ed25519 (RFC 8032): verification only, so nothing is secret and nothing needs constant time.
P, ORDER = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
D, Point = -121665 * pow(121666, P - 2, P) % P, tuple[int, int, int, int]


def plus(a: Point, b: Point) -> Point:
    """Adds two points in extended coordinates (section 5.1.4)."""
    low, high = (a[1] - a[0]) * (b[1] - b[0]), (a[1] + a[0]) * (b[1] + b[0])
    cross, twice = 2 * a[3] * b[3] * D, 2 * a[2] * b[2]
    e, f, g, h = (high - low) % P, (twice - cross) % P, (twice + cross) % P, (high + low) % P
    return e * f % P, g * h % P, f * g % P, e * h % P


def times(scalar: int, point: Point) -> Point:
    """Adds a point to itself so often."""
    total = (0, 1, 1, 0)
    while scalar:
        total = plus(total, point) if scalar & 1 else total
        point, scalar = plus(point, point), scalar >> 1
    return total


def same(a: Point, b: Point) -> bool:
    """Compares two points."""
    return (a[0] * b[2] - b[0] * a[2]) % P == 0 == (a[1] * b[2] - b[1] * a[2]) % P


def decoded(data: bytes) -> Point:
    """Decodes a point (section 5.1.3); refuses other spellings of it and points of small order."""
    y, sign = int.from_bytes(data, "little") & (2**255 - 1), data[31] >> 7
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    x = x if x * x % P == square else x * pow(2, (P - 1) // 4, P) % P
    x = P - x if x & 1 != sign else x
    good = len(data) == 32 and y < P and x * x % P == square
    must(good and not same(times(8, (x, y, 1, x * y % P)), (0, 1, 1, 0)), "a key or a signature is not a point")
    return x, y, 1, x * y % P


def signed(public: bytes, message: bytes, signature: bytes) -> bool:
    """Says whether `signature` is that of `message` by the key `public` (section 5.1.7)."""
    try:
        key, r, base = decoded(public), decoded(signature[:32]), decoded(b"\x58" + b"\x66" * 31)
    except (Wrong, IndexError):
        return False
    s = int.from_bytes(signature[32:], "little")
    k = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % ORDER
    return len(signature) == 64 and s < ORDER and same(times(s, base), plus(r, times(k, key)))


Key = namedtuple("Key", "name id algorithm public")


def verifier_key(text: str) -> Key:
    """Reads a verifier key (4); the id of one with ML-DSA, which is used for nothing here, is taken as it is."""
    found = re.fullmatch(r"([^\s+]+)\+([0-9a-f]{8})\+(\S+)", text)
    must(found, f"`{text}` is not a verifier key")
    name, hint, data = found[1], bytes.fromhex(found[2]), unbase64(found[3])
    must(data[0] == 6 or hint == sha(name.encode(), b"\n", data)[:4], f"the hash in `{text}` is not that of its key")
    return Key(name, hint, data[0], data[1:])


class Checkpoint:
    """A checkpoint that the pinned key signed for its own origin (4)."""

    @check("checkpoint")
    def __init__(self, data: bytes, key: Key) -> None:
        text, _, tail = data.decode().rpartition("\n\n")
        found = re.fullmatch("(.+)\n(0|[1-9][0-9]{0,18})\n(.{44})", text)
        lines = re.findall("\u2014 ([^ \n]+) ([^ \n]+)\n", tail)
        good = found and "".join(f"\u2014 {name} {line}\n" for name, line in lines) == tail and 1 <= len(lines) <= 64
        good = good and len(data) <= 1 << 18 and not re.search(b"[\0-\x09\x0b-\x1f]", data)
        must(good, "is not three lines, an empty line and lines of signatures")
        self.text, self.origin, self.size = (text + "\n").encode(), found[1], int(found[2])
        self.root, self.lines = unbase64(found[3]), [(name, unbase64(line)) for name, line in lines]
        good = all(len(line) > 4 and not re.search(r"[\s+\x7f-\x9f]", name) for name, line in self.lines)
        must(good, "has a line that is not a signature")
        must(self.origin == key.name, f"is of `{self.origin}`, and the key is that of `{key.name}`")
        must(key.algorithm == 1 and self.signed_by(key), "is not signed by the pinned key")

    def signed_by(self, key: Key) -> bool:
        """Says whether `key` signed, alone or with a time (cosignature/v1); what does not verify is an error."""
        mine = [line[4:] for name, line in self.lines if (name, line[:4]) == (key.name, key.id)]
        for line in mine if key.algorithm != 6 else []:
            at = 8 if key.algorithm == 4 else 0
            head = b"cosignature/v1\ntime %d\n" % int.from_bytes(line[:at], "big") if at else b""
            must(signed(key.public, head + self.text, line[at:]), f"the signature of `{key.name}` does not verify")
        return bool(mine) and key.algorithm != 6


def cbor(data: bytes, at: int) -> tuple[Any, int]:
    """Reads an item at `at`: an unsigned integer, bytes, text, array, or map with rising keys, in its one spelling."""
    major, size, at = data[at] >> 5, data[at] & 31, at + 1
    if size >= 24:
        width = (1, 2, 4, 8)[size - 24]
        size, at = int.from_bytes(data[at:at + width], "big"), at + width
        must(size >= (24 if width == 1 else 1 << 4 * width) and at <= len(data), "a number is not in its shortest form")
    if major == 0:
        return size, at
    if major == 2 or major == 3:
        value = data[at:at + size]
        must(len(value) == size, "a text or bytes end too early")
        return value if major == 2 else value.decode(), at + size
    must(major in (4, 5) and size < len(data), "there is an item that is in no entry")
    items: list[Any] = []
    for _ in range(size * (major - 3)):
        item, at = cbor(data, at)
        items.append(item)
    if major == 4:
        return items, at
    keys = items[::2]
    must(set(map(type, keys)) <= {int} and keys == sorted(set(keys)), "the keys of a map do not rise")
    return dict(zip(keys, items[1::2])), at


class Shown:
    """An entry (1), and the fields of its private part that are shown; those that are withheld are none."""

    @check("entry")
    def __init__(self, index: int, data: bytes) -> None:
        self.index, self.hash, self.fields = index, sha(b"\0", data), {}  # type: int, bytes, dict[int, Optional[bytes]]
        entry, end = cbor(data, 0)
        must(end == len(data) <= 1024, f"entry {index} is longer than its map, or than 1,024 bytes")
        for key, value in entry.items():
            of = TYPES.get(key, int)
            good = type(value) is of if type(of) is type else type(value) is bytes and len(value) == of
            must(good and key < 23 and key != 13, f"entry {index} has a field that there is not")
        self.kind, self.time, self.entry = entry[KIND], entry[TIME], entry  # type: int, int, dict[int, Any]
        is_cut = self.kind == CLOSE and entry.get(OUTCOME) == 2
        self.decides = self.kind in (OPEN, REFUSAL, REDECISION) or is_cut and SNAPSHOT in entry
        good = entry[VERSION] == 2 and 1 <= self.kind <= 14 and 1 <= entry.get(OUTCOME, 1) <= 6
        good = good and entry.get(EPOCH, 0) < 1 << 32
        must(good, f"entry {index} has a version, kind, outcome or epoch that there is not")
        usage = entry.get(USAGE, {2: 0, 3: 0})
        good = {2, 3} <= set(usage) <= {0, 1, 2, 3} and set(map(type, usage.values())) == {int}
        must(good and set(map(type, entry.get(BASIS, ()))) <= {str}, f"entry {index} has another usage or basis")
        one, other = (CALL, PRIVATE) if self.kind in (OPEN, CLOSE, REFUSAL) else (NONCE, NONCE)
        good = {PRIVATE, EPOCH, NONCE} & set(entry) in (set(), {PRIVATE, EPOCH, other})
        must(good and (PRIVATE not in entry or one in entry), f"entry {index} lacks what belongs to its private part")
        links = entry.get(LINKS, [])
        self.chains = {bytes([of]) + name: (seq, back) for of, name, seq, back in links}
        good = [bytes([of]) + name for of, name, _, _ in links] == sorted(self.chains) and (links or LINKS not in entry)
        for of, name, seq, back in links:
            good = good and 1 <= of <= 5 and len(name) == 16 and (seq == 0) == (back == 0) and type(seq + back) is int
            good = good and (of < 5 or name == bytes(16))
        must(good, f"the links of entry {index} are not in order, or one is not a link")

    def lacks(self, wanted: Any) -> bool:
        """Says whether the private part, or one of these fields of it, is withheld."""
        return PRIVATE in self.entry and (not self.fields or any(self.fields.get(of, b"") is None for of in wanted))

    def may_have_facts(self) -> bool:
        """Says whether it has a first field of its own, as far as that is told."""
        return PRIVATE in self.entry and (not self.fields or 1 in self.fields)


def read_entries(data: bytes) -> Iterator[Shown]:
    """Reads `entries` (7); every private part opens the commitment of its entry (2)."""
    at, last = 16, -1

    def take(size: int) -> bytes:
        nonlocal at
        at += size
        must(at <= len(data), f"the file ends within what follows entry {last}")
        return data[at - size:at]

    must(data[:16] == b"exeat-entries/v2", "is not a file of entries of version 2")
    while at < len(data):
        index, size = struct.unpack(">QH", take(10))
        must(last < index, f"entry {index} stands after entry {last}")
        shown, before, commitments = Shown(index, take(size)), 0, [b"exeat/private/v2"]
        for _ in range(take(1)[0]):
            name, is_shown = take(2)
            good = before < name and name in FIELDS.get(shown.kind, {1}) and is_shown < 2
            must(good, f"the fields of entry {index} are not in order, or not of its kind")
            before, shown.fields[name], commitment = name, None, b""
            if is_shown:
                salt, length = take(16), take(4)
                size = int.from_bytes(length, "big")
                most = FACTS if name == 1 and shown.kind in (OPEN, CLOSE, REFUSAL, REDECISION) else LONGEST
                must(size <= most, f"a field of entry {index} is longer than {most} bytes")
                value = shown.fields[name] = take(size)
                commitment = hmac.digest(salt, b"exeat/field/v2%c\0\0\0\0" % name + length + value, "sha256")
            commitments += [bytes([name]), commitment or take(32)]
        good = not before or shown.entry.get(PRIVATE) == sha(*commitments)
        must(good, f"the private part of entry {index} does not open its commitment", "commitment")
        last = index
        yield shown


def fold(size: int, ours: dict[int, Any], others: list[Any], join: Callable[[Any, Any], Any]) -> Any:
    """Computes the root of a tree (3, 10): in each range without a leaf of `ours` stands the next of `others`."""
    at, rest = sorted(ours), others[::-1]

    def root(low: int, high: int) -> Any:
        if bisect_left(at, low) == bisect_left(at, high):
            must(rest, "an entry or a hash is missing")
            return rest.pop()
        if high - low == 1:
            return ours[low]
        middle = low + (1 << (high - low - 1).bit_length() - 1)
        return join(root(low, middle), root(middle, high))

    top = root(0, size)
    must(not rest and (not at or at[-1] < size), "there are more hashes than it takes")
    return top


Sum = tuple[bytes, list[int]]  # a hash, and the sums of calls, input, output and events
Hour = tuple[str, int, bytes]  # a model version, an hour, and which meter


def node(left: bytes, right: bytes) -> bytes:
    """Joins two nodes of a tree (3)."""
    return hashlib.sha256(b"\1" + left + right).digest()


def summed(left: Sum, right: Sum) -> Sum:
    """Joins two nodes of a tree with sums (9)."""
    return (sha(b"\1", left[0], numbers(*left[1]), right[0], numbers(*right[1])),
            [a + b for a, b in zip(left[1], right[1])])


def extend(heads: dict[bytes, list[int]], shown: Shown, key: bytes) -> None:
    """Puts an entry into its place in a chain (8): the next number, pointing back at the one before."""
    head = heads.get(key, [0] * 7)
    good = shown.chains[key] == (head[0], shown.index - head[1] if head[0] else 0)
    must(good, f"entry {shown.index} is not the next of the chain {key.hex()}, which has {head[0]}", "link")
    used = shown.entry.get(USAGE, {}) if shown.kind == CLOSE else {}
    tokens = [min(head[4 + of] + used.get(of, 0), 2**64 - 1) for of in (0, 1, 2)] if used else head[4:]
    heads[key] = [head[0] + 1, shown.index, head[2] + (shown.kind == OPEN), head[3] + (shown.kind == REFUSAL), *tokens]


def map_root(heads: dict[bytes, list[int]]) -> bytes:
    """Computes the root of the head map (8)."""
    keys = sorted(heads)
    values = [int.from_bytes(key, "big") for key in keys]

    def root(low: int, high: int) -> bytes:
        if high - low == 1:
            return sha(b"\0", keys[low], numbers(*heads[keys[low]]))
        below = (values[low] ^ values[high - 1]).bit_length()
        middle = bisect_left(values, values[high - 1] >> below - 1 << below - 1, low, high)
        return sha(b"\1", struct.pack(">H", 136 - below), root(low, middle), root(middle, high))

    return root(0, len(keys)) if keys else sha()


def tree(data: bytes, note: Checkpoint, hashes: bytes = b"") -> dict[int, Shown]:
    """Reads entries that lead to the root of the checkpoint, with the hashes of all others."""
    with check("entries"):
        shown = {one.index: one for one in read_entries(data)}
    with check("tree"):
        others = [hashes[at:at + 32] for at in range(0, len(hashes), 32)]
        root = fold(note.size, {at: one.hash for at, one in shown.items()}, others, node) if shown else sha(hashes)
        must(root == note.root, "the entries do not lead to the checkpoint's root")
    return shown


class Log:
    """Holds entries, each against those before it (11): all of a log, or of a part calls of a chain from `first` on."""

    def __init__(self, shown: dict[int, Shown], first: int = 0, chain: Optional[bytes] = None) -> None:
        self.shown, self.first, self.chain = shown, first, chain
        self.time, self.in_force = 0, None  # type: int, Optional[bytes]
        self.replaced: dict[Optional[bytes], int] = {}  # snapshots that were in force, and until when
        self.leases: dict[int, int] = {}  # of live calls, by the index of their open entry, as below
        self.opens, self.closes = {}, {}  # type: dict[int, Shown], dict[int, Shown]
        self.hours: dict[Hour, list[Shown]] = {}  # the closes of calls that belong to a meter
        self.live, self.interrupted, self.stopped, self.last = set(), 0, True, 0  # type: set[bytes], int, bool, int

    def see(self, one: Shown) -> None:
        """Checks points 5, 8, 12, 13 and 14, and of points 9 and 10 that the snapshot was in force."""
        index, entry, kind, named = one.index, one.entry, one.kind, one.entry.get(SNAPSHOT)
        must(one.time >= self.time, f"entry {index} is of earlier than the entry before it", "time")
        self.time, document = one.time, one.fields.get(1)
        self.linked(one)
        mine = not self.chain or self.chain in one.chains and entry.get(OPENED, index) >= self.first
        must(not mine or self.has_facts(one), f"entry {index} has no facts, or those of another", "facts")
        if kind == IN_FORCE:
            must(document is None or named == sha(document), f"entry {index} names another document", "snapshot")
            self.replaced[self.in_force], self.in_force = self.time, named
        elif one.decides and mine:
            good = named == self.in_force or self.replaced.get(named, -GRACE) + GRACE >= self.time
            must(named is not None and good, f"entry {index} names a snapshot that was not in force", "snapshot")
        with check("call"):
            if mine and (kind == OPEN or kind == METERED and OUTCOME not in entry):
                must({CALL, MODEL} <= set(entry), f"entry {index} does not name a call and a model")
                must(kind == METERED or entry[CALL] not in self.live, f"entry {index} opens a call that is open")
                self.live.update([entry[CALL]] if kind == OPEN else [])
                self.opens[index], self.leases[index] = one, entry.get(LEASE, -1)
            elif mine and kind in (CLOSE, REDECISION, MORE):
                self.follow(one, self.opens.get(entry[OPENED]))

    def linked(self, one: Shown) -> None:
        """Checks in which chains an entry is (8, 12); those of calls that go on, `follow` does."""
        classes = [key[0] for key in one.chains]
        if one.kind in (OPEN, REFUSAL):
            good = one.chains.keys() >= {b"\1" + one.entry.get(SUBJECT, b"")} and {CALL, MODEL} <= set(one.entry)
            good = good and classes.count(1) == 1 == classes.count(4) and classes.count(2) < 2 and 5 not in classes
            must(good, f"entry {one.index} does not name one call, subject and model", "call")
        elif one.kind not in (CLOSE, REDECISION, MORE):
            good = classes == {IN_FORCE: [5], RECONCILED: [4]}.get(one.kind, [])
            good = good or one.kind == METERED and 5 not in classes
            must(good, f"entry {one.index} is in other chains than its kind", "link")

    def has_facts(self, one: Shown) -> bool:
        """Says whether an entry has the facts that it needs itself, or those of one that has some itself (10, 14)."""
        at = one.entry.get(FACTS_AT)
        if one.kind not in (OPEN, REFUSAL, REDECISION) or at is None:
            return at is None and (not one.decides or one.may_have_facts())
        of = self.shown.get(at)
        good = of and of.kind in (OPEN, REFUSAL, REDECISION) and FACTS_AT not in of.entry and of.may_have_facts()
        good = good and [key for key in of.chains if key[0] == 1] == [key for key in one.chains if key[0] == 1]
        return bool(good or not of and self.chain) and 0 < one.index - at <= FURTHEST and 1 not in one.fields

    def follow(self, one: Shown, opened: Optional[Shown]) -> None:
        """Holds a close, a redecision or a lease against the entry that opened its call."""
        index, entry, at, ended = one.index, one.entry, one.entry[OPENED], self.closes.get(one.entry[OPENED])
        must(opened, f"entry {index} names {at}, which opened no call")
        about = opened.entry
        good = MODEL in entry and all(entry.get(name) == about.get(name) for name in (CALL, MODEL))
        must(good and entry.get(SUBJECT) in (None, about.get(SUBJECT)), f"entry {index} is not of the call of {at}")
        must(one.chains.keys() == opened.chains.keys(), f"entry {index} is not in the chains of its call")
        late = ended and (one.kind != REDECISION or ended.time + GRACE < self.time)
        must(not late, f"entry {index} is about a call that ended before")
        lease, usage, outcome = self.leases.get(at, -1), entry.get(USAGE), entry.get(OUTCOME)
        if one.kind == MORE:
            must(entry[LEASE] > lease >= 0, f"entry {index} does not raise its lease", "lease")
            self.leases[at] = entry[LEASE]
        elif one.kind == CLOSE:
            good = lease < 0 or (usage or {2: 0})[2] <= lease and (outcome != 5 or entry.get(LEASE) == lease)
            must(good, f"entry {index} does not keep to the lease of its call, {lease}", "lease")
            good = outcome and (usage or outcome == 5) and (CODE in entry or outcome != 2)
            must(good, f"entry {index} closes a call without an outcome, its usage, or why it was cut")
            self.closes[at] = one
            self.live.discard(about[CALL])
            del self.leases[at]
            if METER in entry:
                self.hours.setdefault(self.hour_of(one), []).append(one)

    @check("order")
    def process(self, one: Shown, genesis: list[str]) -> None:
        """Checks points 6 and 7: how processes begin and end."""
        index, kind, document = one.index, one.kind, one.fields.get(1)
        ended = kind == CLOSE and one.entry.get(OUTCOME) == 5
        must((kind == GENESIS) == (index == 0), f"entry {index}: a genesis is the first entry and no other")
        if kind != START and not ended:
            must(not self.interrupted and self.last not in (GENESIS, STOP), f"a process has to start at entry {index}")
        good = kind != GENESIS or document is None or record(parse(document), "origin key") == genesis
        must(good, "the genesis is that of another log")
        if kind == START:
            must(not self.leases, f"calls are open at the start in entry {index}")
            told = {"unclean": not self.stopped, "interrupted": 0} if document is None else parse(document)
            unclean, count = record(told, "unclean", "interrupted")
            good = unclean is (not self.stopped) and count in range(self.interrupted + 1)
            must(good, f"entry {index} tells another end of the process before it")
        self.interrupted = 0 if kind == START else self.interrupted + ended
        self.stopped, self.last = kind in (GENESIS, STOP), kind

    def not_in(self, hours: Any, closes: Any) -> int:
        """Counts the calls that no statement of these hours counts: those of a meter, and what completed without."""
        of = [one for one in closes if self.opens[one.entry[OPENED]].kind == OPEN]
        return sum(self.hour_of(one) not in hours for one in of if METER in one.entry or one.entry[OUTCOME] == 1)

    def hour_of(self, close: Shown) -> Hour:
        """Returns the model version, hour and meter in whose sums a call counts."""
        return close.entry[MODEL], self.opens[close.entry[OPENED]].time // 3_600_000, close.entry.get(METER, b"")


def tree_of(value: Any) -> Sum:
    """Reads root and sums of a tree in a statement."""
    root, *sums = record(value, "root", "calls input output events")
    return unhex(root, 32), sums


class Statement:
    """A reconciliation (9, point 15): about which hour, the gateway's two trees, whether the sides agree."""

    @check("sums")
    def __init__(self, shown: Shown, asked: argparse.Namespace) -> None:
        form, self.model, gateway, meter, differ, hour = record(
            parse(shown.fields.get(1)), "format model gateway meter differ", "hour")
        sides = [record(side, "key completed early signature") for side in (gateway, meter)]
        keys = [verifier_key(side[0]) for side in sides]
        trees = [[tree_of(side[1]), tree_of(side[2])] for side in sides]
        totals = [sha(b"\2", *(part for root, sums in of for part in (root, numbers(*sums)))) for of in trees]
        about = b"".join(text.encode() + b"\0" for text in (keys[0].name, keys[1].name, self.model)) + numbers(hour)
        for key, total, side in zip(keys, totals, sides):
            good = key.algorithm == 1 and signed(key.public, b"exeat/sums/v2" + about + total, unbase64(side[3]))
            must(good, f"`{key.name}` did not sign what entry {shown.index} says")
        *both, digest, count = record(differ, "gateway meter hash", "calls")
        counted = [record(side, "", "calls input output events") for side in both]
        good = unhex(digest, 32) == sha(b"\3") and not any(map(any, counted)) and trees[0][0] == trees[1][0]
        must(good if count == 0 else max(one[0] for one in counted) <= count, f"entry {shown.index} contradicts itself")
        said = (RECONCILED, "exeat-sums/v2", self.model, "differ" if count else "agree")
        entry = shown.entry
        must(said == (shown.kind, form, entry.get(MODEL), entry.get(CODE)), f"entry {shown.index} says something else")
        must((asked.log, entry.get(ROOT)) in zip(keys, totals), f"entry {shown.index} has another root or key")
        must(not asked.meter or sides[1][0] in asked.meter, f"`{sides[1][0]}` is not the key of a meter", "meter")
        may = {"all", str(shown.index)} & set(asked.allow_differences)
        must(not count or may, f"the sides of entry {shown.index} do not agree", "differences")
        self.at, self.trees, self.meter, self.differs = shown.index, trees[0], sides[1][0], count > 0
        self.hour = (self.model, hour, sha(keys[1].name.encode())[:8]) if keys[0] == asked.log else None

    @check("sums")
    def holds(self, log: Log, closes: list[Shown], proofs: Any = None) -> None:
        """Holds both trees against the calls in them, some of which may be known by their proofs alone."""
        must(all(one.index < self.at for one in closes), f"a call ended after entry {self.at}, which counts it")
        for tree, is_completed, proof in zip(self.trees, (True, False), proofs or (None, None)):
            mine = sorted((log.opens[one.entry[OPENED]].entry[CALL], one.entry.get(USAGE, {})) for one in closes
                          if (one.entry[OUTCOME] == 1) == is_completed)
            sums = [[1, *(usage.get(of, 0) for of in (0, 1, 2))] for _, usage in mine]
            leaves = [(sha(b"\0", call, numbers(*of)), of) for (call, _), of in zip(mine, sums)]
            whole = {"size": len(leaves), "positions": list(range(len(leaves))), "nodes": []}
            positions, nodes, size = record(whole if proofs is None else proof, "positions nodes", "size")
            good = naturals(items(positions)) == sorted(set(positions)) and len(positions) == len(mine)
            must(good and len({call for call, _ in mine}) == len(mine), f"entry {self.at} is not about the calls shown")
            others = [(unhex(top, 32), naturals(of)) for top, *of in items(nodes)]
            top = fold(size, dict(zip(positions, leaves)), others, summed) if size else (sha(), [0] * (4 + len(others)))
            must(top == tree and tree[1][0] == size, f"the calls shown do not lead to the sums of entry {self.at}")


def reconciled(statements: list[Statement], asked: argparse.Namespace) -> dict[str, Any]:
    """Reports what meters said."""
    keys = sorted({one.meter for one in statements})
    return {"meters": [f"{key} ({'pinned' if asked.meter else 'not pinned'})" for key in keys],
            "hours_that_differ": sum(one.differs for one in statements)}


def bundle(asked: argparse.Namespace) -> dict[str, Any]:
    """Checks a whole log (7, 11)."""
    files = {name: read(asked.path / name) for name in ("checkpoint", "log.vkey", "entries", "manifest.json")}
    note = Checkpoint(files["checkpoint"], asked.log)
    lines = ["{", '  "format": "exeat-bundle/v2",', f'  "origin": {json.dumps(note.origin, ensure_ascii=False)},',
             '  "first": 0,', f'  "size": {note.size},']
    for name, end in (("checkpoint", ","), ("log.vkey", ","), ("entries", "")):
        digest = hashlib.sha256(files[name]).hexdigest()
        lines.append(f'  "{name}": {{"bytes": {len(files[name])}, "sha256": "{digest}"}}{end}')
    good = files["manifest.json"] == "\n".join([*lines, "}", ""]).encode()
    must(good, "is not that of these files in its one layout", "manifest")
    must(files["log.vkey"] == asked.key.encode() + b"\n", "`log.vkey` is not the pinned key", "manifest")
    shown = tree(files["entries"], note)
    log, heads, statements = Log(shown), {}, []  # type: Log, dict[bytes, list[int]], list[Statement]
    for one in shown.values():
        log.process(one, [note.origin, asked.key])
        log.see(one)
        if one.kind == HEADS:
            good = (one.entry.get(COVERED), one.entry.get(ROOT)) == (one.index, map_root(heads))
            must(good, f"entry {one.index} does not have the root over the chains before it", "heads")
        if one.kind == RECONCILED and one.fields.get(1) is not None:
            statements.append(Statement(one, asked))
        for chain in one.chains:
            extend(heads, one, chain)
    for said in statements:
        if said.hour:
            said.holds(log, log.hours.get(said.hour, []))
    withheld = sum(one.lacks(one.fields) for one in shown.values())
    must(asked.allow_withheld or not withheld, f"of {withheld} entries something is withheld", "withheld")
    return {"origin": note.origin, "entries": note.size, "calls": len(log.opens), "open": len(log.leases),
            "chains": len(heads), "withheld": withheld, **reconciled(statements, asked),
            "not_reconciled": log.not_in({said.hour for said in statements}, log.closes.values()),
            "decisions": "not made again"}


@check("receipt")
def receipt(asked: argparse.Namespace) -> dict[str, Any]:
    """Checks that an entry is in the log (5)."""
    text = read(asked.path)
    must(len(text) <= 532_480, "is longer than a receipt may be")
    found = re.fullmatch(r"c2sp\.org/tlog-proof@v1\n(?:extra (.*)\n)?index (0|[1-9][0-9]{0,18})\n((?:.{44}\n){0,63})\n"
                         r"([^\0]*)", text.decode())
    must(found, "is not a tlog-proof")
    unbase64(found[1] or "")
    note, index = Checkpoint(found[4].encode(), asked.log), int(found[2])
    proof, shown = [unbase64(line) for line in found[3].split("\n")[:-1]], Shown(index, read(asked.leaf))

    def root(low: int, high: int) -> bytes:
        if high - low == 1:
            return shown.hash
        middle, side = low + (1 << (high - low - 1).bit_length() - 1), proof.pop()
        return node(root(low, middle), side) if index < middle else node(side, root(middle, high))

    must(index < note.size and root(0, note.size) == note.root and not proof, "does not lead to the checkpoint's root")
    return {"origin": note.origin, "entries": note.size, "index": index}


@check("policy")
def meets(note: Checkpoint, policy: bytes, log: Key) -> list[str]:
    """Requires that the quorum of a C2SP tlog-policy cosigned a checkpoint; returns which of its witnesses did."""
    logs, witnesses, quorum = [], [], None  # type: list[Key], list[Key], Optional[bytes]
    groups: dict[bytes, bool] = {b"none": True}
    members: set[bytes] = set()
    must(re.fullmatch(rb"[^\0-\x08\x0b-\x1f\x7f]*\n", policy), "is not lines of text")
    for verb, *rest in (line.split() or [b"#"] for line in policy.split(b"\n")):
        is_new = rest and rest[0] not in groups
        if verb == b"log" and len(rest) in (1, 2):
            logs.append(verifier_key(rest[0].decode()))
        elif verb == b"witness" and len(rest) in (2, 3) and is_new:
            witnesses.append(verifier_key(rest[1].decode()))
            groups[rest[0]] = note.signed_by(witnesses[-1])
        elif verb == b"group" and len(rest) > 2 and is_new:
            of = rest[2:]
            word = {b"any": b"1", b"all": b"%d" % len(of)}.get(rest[1], rest[1])
            least = int(word) if re.fullmatch(b"[1-9][0-9]{0,8}", word) else 0
            must(len(set(of)) == len(of) >= least > 0, f"the group {rest[0]!r} asks for what cannot be")
            must(set(of) <= set(groups) - members - {b"none"}, f"the group {rest[0]!r} has no such members")
            groups[rest[0]] = sum(groups[member] for member in of) >= least
            members |= set(of)
        elif verb == b"quorum" and len(rest) == 1 and not is_new and quorum is None:
            quorum = rest[0]
        else:
            must(verb.startswith(b"#"), f"the line of {verb!r} is not one of a policy")
    for keys in (logs, witnesses):
        must(len({key.public for key in keys}) == len(keys), "names a key twice")
    good = {key.algorithm for key in logs} <= {1} and {key.algorithm for key in witnesses} <= {4, 6}
    must(good and log in logs, "has a key of the wrong type, or not that of the log")
    must(quorum is not None and groups[quorum], "its quorum did not cosign the checkpoint")
    return [key.name for key in witnesses if note.signed_by(key)]


class Span:
    """One chain between two heads entries (8)."""

    @check("heads")
    def __init__(self, value: Any, shown: dict[int, Shown]) -> None:
        of, name, start, end = record(value, "class id from to")
        self.key = bytes([CLASSES[of]]) + unhex(name, 16)
        self.first, self.start = self.head(start, shown) if start is not None else (-1, [0] * 7)
        self.last, self.end = self.head(end, shown)

    def head(self, value: dict[str, Any], shown: dict[int, Shown]) -> tuple[int, list[int]]:
        """Returns a head, or zeros where there is shown to be none, and of which heads entry it is."""
        head, path, _, at = record({**value, "other": 0}, "head path other", "entry")
        heads, key, top, told = shown[at], self.key, sha(), head
        must(heads.kind == HEADS and heads.entry[COVERED] == at, f"entry {at} is not a heads entry")
        if head is None and "other" in value:
            of, name, told = record(value["other"], "class id head")
            must(told is not None, "another leaf has no head")
            key = bytes([CLASSES[of]]) + unhex(name, 16)
        good = ("other" in value) == (key != self.key) and value.get("other", 0) is not None
        must(good, "another leaf shows a head, or the chain that it has none")
        if told is not None:
            top = sha(b"\0", key, numbers(*record(told, "", HEAD)))
        must(told is not None or not path, "there is a path from no leaf")
        bits = naturals(bit for bit, _ in items(path))
        must(bits == sorted(set(bits), reverse=True) and set(bits) <= set(range(136)), "the bits of a path do not fall")
        for bit, side in path:
            left, asked = (not key[bit // 8] >> 7 - bit % 8 & 1 for key in (key, self.key))
            must(left == asked, "the other leaf is not where the chain would be")
            pair = [top, unhex(side, 32)] if left else [unhex(side, 32), top]
            top = sha(b"\1", struct.pack(">H", bit), *pair)
        must(top == heads.entry[ROOT], f"a path does not lead to the root of entry {at}")
        return at, record(head, "", HEAD) if head is not None else [0] * 7

    def complete(self, shown: dict[int, Shown]) -> list[Shown]:
        """Returns the entries of the chain between the two heads, which are all that there are."""
        heads = {self.key: self.start}
        entries = [one for at, one in shown.items() if self.first < at < self.last and self.key in one.chains]
        for one in entries:
            extend(heads, one, self.key)
        good = heads[self.key] == self.end
        must(good, f"the chain {self.key.hex()} does not come to its head in {self.last}", "complete")
        return entries


class Selection:
    """What was asked for (10)."""

    @check("selection")
    def __init__(self, value: Any) -> None:
        self.of, self.name, self.model, start, end, shows = record(value, "class name model from to disclose")
        self.since, self.until = moment(start), moment(end)
        self.may: set[int] = set().union(*(DISCLOSE[one] for one in shows))
        good = self.since < self.until and shows == [one for one in DISCLOSE if one in shows]
        must(good and type(self.name) is str and type(self.model) in (str, type(None)), "is not one in its form")
        must(self.of in CLASSES and self.of != "in_force", f"there are no names of the class `{self.of}`")


@check("manifest")
def manifest(files: dict[str, bytes], key: Key) -> list[Any]:
    """Checks the signed list of files (10); returns what its predicate says."""
    kind, text, signatures = record(parse(files["manifest.json"]), "payloadType payload signatures")
    payload, [(name, signature)] = unbase64(text), [record(one, "keyid sig") for one in items(signatures)]
    said = b"DSSEv1 %d %s %d %s" % (len(kind.encode()), kind.encode(), len(payload), payload)
    good = kind == "application/vnd.in-toto+json" and name == key.name
    must(good and signed(key.public, said, unbase64(signature)), "is not signed by the pinned key")
    form, subject, predicate, about = record(parse(payload), "_type subject predicateType predicate")
    good = (form, predicate) == ("https://in-toto.io/Statement/v1", "https://exeat.example/production/v1")
    must(good, "is not the statement of a production")
    listed = [record(one, "name digest") for one in items(subject)]
    names = [name for name, _ in listed]
    must(names == sorted(set(names)), "does not list the files in order")
    odd = set(names) ^ (set(files) - {"manifest.json"})
    must(not odd, f"`{min(odd, default='')}` is not both there and listed")
    for name, digest in listed:
        must(digest == {"sha256": hashlib.sha256(files[name]).hexdigest()}, f"`{name}` is not the file that was signed")
    return record(about, "origin selection engine", "size custody")


@check("custody")
def approvers(custody: Shown, selection: Any, asked: argparse.Namespace) -> list[str]:
    """Checks the custody entry and the approvals in it (10, and the directive desk); returns who approved."""
    must(custody.kind == ADMIN and custody.entry[CODE] == "custody.export", "the custody entry is another one")
    actor, recorded, approvals = record(parse(custody.fields.get(1)), "actor selection approvals")
    must(vars(Selection(recorded)) == vars(Selection(selection)), "the log has another selection than the manifest")
    found, requests = [], set()
    for one in items(approvals):
        act, who, role, public, jws = record(one, "act approver role public_key jws")
        (header, body, seal), key = jws.split("."), unbase64url(public)
        said = header.encode() + b"." + base64.urlsafe_b64encode(canonical(act)).rstrip(b"=")
        good = parse(unbase64url(header)) == {"alg": "EdDSA", "kid": who, "typ": "exeat-approval+jws"} and body == ""
        must(good and signed(key, said, unbase64url(seal)), f"`{who}` did not sign the approval")
        *kind, request, digest, until, _ = record(act, "type act kind id document_sha256 valid_until", "version")
        good = kind == ["approval/v1", "produce", "production"] and custody.time < moment(until) + GRACE
        good = good and digest == hashlib.sha256(canonical(recorded)).hexdigest()
        must(good, f"`{who}` approved something else, or until before the production")
        good = not asked.approver or f"{who}={public}" in asked.approver
        must(good, f"`{who}` is not one of the approvers, or has another key")
        found.append((who, role, public))
        requests.add(request)
    good = len(found) > 1 and all(len(set(column)) == len(found) for column in zip(*found))
    must(good and len(requests) == 1, "it takes two who approve one request, with different names, roles and keys")
    must({type(text) for one in found for text in (*one, *requests, actor)} == {str}, "a name is not a text")
    return [f"{who} ({role}) {public}" for who, role, public in found]


def table(calls: list[Shown], log: Log) -> bytes:
    """Makes `calls.csv` (10)."""
    out = io.StringIO()
    lines = csv.writer(out, lineterminator="\n")
    lines.writerow("index time call subject model outcome code input output events closed".split())
    for one in calls:
        close, at = log.closes.get(one.index), datetime(1970, 1, 1) + timedelta(milliseconds=one.time)
        end, usage = (close or one).entry, close.entry.get(USAGE, {}) if close else {}
        outcome = "refused" if one.kind == REFUSAL else ENDS[end.get(OUTCOME, 0)]
        code = end.get(CODE, "") if close or one.kind == REFUSAL else ""
        lines.writerow([one.index, at.isoformat(timespec="milliseconds") + "Z", one.entry[CALL].hex(),
                        one.entry[SUBJECT].hex(), one.entry[MODEL], outcome, code,
                        *(usage.get(name, "") for name in range(3)), close.index if close else ""])
    return out.getvalue().encode()


@check("manifest")
def files_of(folder: Path) -> dict[str, bytes]:
    """Reads the files of a production, none of which is a link or anywhere else."""
    files = {}
    for path in folder.iterdir():
        is_folder = path.name == "timestamps" and stat.S_ISDIR(path.lstat().st_mode)
        for one in path.iterdir() if is_folder else [path]:
            files[one.relative_to(folder).as_posix()] = read(one)
    must(set(FILES) <= set(files), f"of the files one is missing: {set(FILES) - set(files)}")
    return files


class Production:
    """What is shown, and why: `reasons` has each entry that may be shown, and which of its fields."""

    def __init__(self, files: dict[str, bytes], note: Checkpoint, selection: Any, custody: int) -> None:
        self.files, self.asked, self.custody = files, Selection(selection), custody
        self.shown = tree(files["entries"], note, files["hashes"])
        self.reasons: dict[int, set[int]] = {custody: {1}}
        self.chains()
        self.calls()

    def chains(self) -> None:
        """Checks that both chains are complete, around the time selected."""
        with check("heads"):
            spans = record(parse(self.files["heads.json"]), "chain in_force")
            self.chain, force = (Span(one, self.shown) for one in spans)
            good = (self.chain.first, self.chain.last) == (force.first, force.last)
            must(good, "the two chains are not between the same heads entries")
            good = self.chain.key[0] == CLASSES[self.asked.of] and force.key == SNAPSHOTS
            must(good, "the chains are not of the class selected and of what was in force")
            self.reasons.update({at: set() for at in (force.first, force.last) if at >= 0})
        around = force.first < 0 or self.shown[force.first].time < self.asked.since
        around = around and self.asked.until <= self.shown[force.last].time
        must(around, "the heads entries do not lie around the time selected", "selection")
        self.entries, snapshots = self.chain.complete(self.shown), force.complete(self.shown)
        if force.start[0]:
            snapshots.append(self.shown.get(force.start[1], self.shown[force.last]))
            good = snapshots[-1].chains.get(SNAPSHOTS, (-1,))[0] == force.start[0] - 1
            must(good, f"the snapshot in force at the start, entry {force.start[1]}, is not shown", "complete")
        good = all(one.fields.get(1) is not None for one in snapshots)
        must(good, "a document that was in force is withheld", "snapshot")
        self.reasons.update({one.index: {1} for one in snapshots})
        self.reasons.update({one.index: set() for one in self.entries})

    def calls(self) -> None:
        """Follows the calls; finds those that are selected, what may be shown of them, and what of that is withheld."""
        self.log, self.selected, self.withheld = Log(self.shown, self.chain.first + 1, self.chain.key), [], set()
        may = self.asked.may
        for one in self.shown.values():
            self.log.see(one)
        for one in self.entries:
            opened = one if one.kind in (OPEN, REFUSAL) else self.log.opens.get(one.entry.get(OPENED, -1))
            if opened and opened.index > self.chain.first and self.asked.since <= opened.time < self.asked.until and (
                    self.asked.model in (None, opened.entry[MODEL])):
                self.selected.append(one)
                self.reasons[one.index] = may
                self.withheld.update([one.index] if may and one.lacks(may) else [])
        for one in (one for one in self.selected if 1 in may and FACTS_AT in one.entry):
            must(one.entry[FACTS_AT] in self.shown, f"the entry with the facts of {one.index} is not shown", "facts")
            facts = self.shown[one.entry[FACTS_AT]]
            self.reasons[facts.index] = self.reasons.get(facts.index, set()) | {1}
            self.withheld.update([facts.index] if facts.fields.get(1) is None else [])

    @check("sums")
    def sums(self, asked: argparse.Namespace) -> dict[str, Any]:
        """Checks the sums of the hours (9, 10); reports on them."""
        statements: dict[Any, Statement] = {}
        mine = {one.index for one in self.selected}
        for item in items(parse(self.files["sums.json"])):
            *proofs, at = record(item, "completed early", "entry")
            said = Statement(self.shown[at], asked)
            closes = [one for one in self.log.hours.get(said.hour, []) if one.index in mine]
            must(closes and said.hour not in statements, f"entry {at} is about no call shown, or not the only one")
            must(all(before.at < at for before in statements.values()), "the sums are out of order")
            said.holds(self.log, closes, proofs)
            statements[said.hour] = said
            self.reasons[at] = self.reasons.get(at, set()) | {1}
        closes = [one for one in self.selected if one.kind == CLOSE]
        return {**reconciled(list(statements.values()), asked), "not_reconciled": self.log.not_in(statements, closes)}

    @check("names")
    def names(self) -> None:
        """Checks the openings of pseudonyms (2): the selection's, and of no chain but those of selected entries."""
        known = {self.chain.key}.union(*(one.chains for one in self.selected))
        named = set()
        for one in items(parse(self.files["names.json"])):
            kind, name, opening = record(one, "class name opening")
            key = bytes([CLASSES[kind]]) + sha(b"exeat/pseudonym/v2", unhex(opening, 16), name.encode())[:16]
            must(key in known, f"`{name}` is not the name of anything that was selected")
            named.add((key, name))
        must((self.chain.key, self.asked.name) in named, "the chain is not that of the name selected")

    @check("engine")
    def engines(self, listed: Any) -> list[str]:
        """Checks the start entries of the processes that wrote the record (10); returns the program's releases."""
        starts = [record(one, "version", "start") for one in items(listed)]
        at = [start for _, start in starts]
        first = [self.chain.first] if self.chain.first >= 0 else [one.index for one in self.entries]
        good = at and at == sorted(set(at)) and at[0] < min([*first, self.chain.last]) and at[-1] < self.chain.last
        must(good, "are not those of before and between the heads")
        for version, start in starts:
            one = self.shown[start]
            must((one.kind, one.entry[CODE]) == (START, version), f"entry {start} is not the start of `{version}`")
            self.reasons.setdefault(start, set())
        return [version for version, _ in starts]

    @check("disclosure")
    def disclosed(self) -> None:
        """Checks that nothing is shown but what was selected, and what it takes to prove that."""
        for at, one in self.shown.items():
            must(at in self.reasons, f"entry {at} is shown for no reason")
            fields = {name for name, value in one.fields.items() if value is not None}
            must(fields <= self.reasons[at], f"entry {at} shows more than was selected")


def production(asked: argparse.Namespace) -> dict[str, Any]:
    """Checks a production (10)."""
    files = files_of(asked.path)
    origin, selection, engine, size, custody = manifest(files, asked.log)
    note = Checkpoint(files["checkpoint"], asked.log)
    must((origin, size) == (note.origin, note.size), "is about another log or size than the checkpoint", "manifest")
    must(files["log.vkey"] == asked.key.encode() + b"\n", "`log.vkey` is not the pinned key", "manifest")
    witnesses = meets(note, asked.policy.read_bytes() if asked.policy else files["policy"], asked.log)
    stamps = [name for name in files if name.startswith("timestamps/")]
    for name in stamps:
        good = name.endswith(".tsr") and b"\4\x20" + sha(files["checkpoint"]) in files[name]
        must(good, f"`{name}` is not about the checkpoint", "timestamp")
    made = Production(files, note, selection, custody)
    hours = made.sums(asked)
    made.names()
    with check("custody"):
        who = approvers(made.shown[custody], selection, asked)
    versions = made.engines(engine)
    made.disclosed()
    withheld = len(made.withheld)
    must(asked.allow_withheld or not withheld, f"of {withheld} entries something is withheld", "withheld")
    calls = [one for one in made.selected if one.kind in (OPEN, REFUSAL)]
    must(files["calls.csv"] == table(calls, made.log), "`calls.csv` is not what the entries say", "table")
    open_calls = [one for one in calls if one.kind == OPEN and one.index not in made.log.closes]
    usage = [one.entry.get(USAGE, {}) for one in made.selected if one.kind == CLOSE]
    sums = {name: sum(one.get(of, 0) for one in usage) for of, name in enumerate(("input", "output", "events"))}
    return {"origin": origin, "entries": len(made.shown), "calls": len(calls), "open": len(open_calls), **sums,
            "withheld": withheld, **hours, "approvers": who, "engine": versions,
            "complete": f"as of heads entry {made.chain.last}; only who has all leaves can check its root",
            "policy": "pinned" if asked.policy else "its own, not pinned", "witnesses": witnesses,
            "decisions": "not made again", "timestamps": f"{len(stamps)}, signatures not checked"}


def given(text: str) -> str:
    """Returns a key that is given itself, or in a file."""
    return Path(text).read_text().strip() if Path(text).is_file() else text


def difference(text: str) -> str:
    """Reads which entry may differ."""
    if text != "all" and not re.fullmatch("0|[1-9][0-9]{0,19}", text):
        raise argparse.ArgumentTypeError(f"`{text}` is not the index of a reconciliation entry, nor `all`")
    return text


def answer(arguments: Optional[list[str]] = None) -> tuple[int, bool, dict[str, Any]]:
    """Runs one command, see the top of this file; returns its exit status, whether JSON is wanted, and its report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["bundle", "production", "receipt"])
    parser.add_argument("path", type=Path, help="a folder, or the file of a receipt")
    parser.add_argument("--key", required=True, help="the log's verifier key, or a file with it, from another source")
    parser.add_argument("--policy", type=Path, help="the cosignatures you ask for, in place of the production's own")
    parser.add_argument("--meter", action="append", default=[], help="the verifier key of a meter, or a file (repeat)")
    parser.add_argument("--approver", action="append", help="NAME=KEY of one who may approve (repeat)")
    parser.add_argument("--leaf", type=Path, help="the entry of a receipt")
    parser.add_argument("--allow-withheld", action="store_true", help="accept that what was asked for is not shown")
    parser.add_argument("--allow-differences", action="append", default=[], metavar="ENTRY", type=difference,
                        help="accept that gateway and meter do not agree in this entry, or in `all` (repeat)")
    parser.add_argument("--json", action="store_true", help="print the answer as JSON")
    asked = parser.parse_args(arguments)
    try:
        asked.key, asked.meter = given(asked.key), list(map(given, asked.meter))
        with check(asked.command):
            asked.log = check("key")(verifier_key)(asked.key)
            report = {"bundle": bundle, "production": production, "receipt": receipt}[asked.command](asked)
        return 0, asked.json, {**report, "holds": True}
    except Wrong as wrong:
        return 1, asked.json, {"check": wrong.args[1], "error": wrong.args[0], "holds": False}
    except OSError as error:
        return 2, asked.json, {"error": str(error), "holds": False}


def main() -> int:
    """Prints the answer to the command that was given."""
    status, as_json, report = answer()
    print(json.dumps(report, indent=2) if as_json else "\n".join(f"{name}: {of}" for name, of in report.items()))
    return status


if __name__ == "__main__":
    sys.exit(main())
