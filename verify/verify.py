#!/usr/bin/env python3
"""Checks the record of an Exeat gateway, offline, with nothing but Python's standard library.

Written from docs/log-format.md alone: numbers in comments are sections and points of that page. It does not decide
again (of points 9 to 11 it checks that each decision names the snapshot in force), nor verify what is not Ed25519: for
time stamps there is `openssl ts -verify`; cosignatures with ML-DSA count for nothing. Exit status: 0 if all holds, 1 if
not, 2 if that is not known.
"""

import argparse, base64, csv, hashlib, hmac, io, json, re, stat, struct, sys
from bisect import bisect_left
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

# Keys of an entry (1), and its kinds.
(VERSION, KIND, TIME, CALL, OPENED, SUBJECT, MODEL, SNAPSHOT, BASIS, OUTCOME, CODE, USAGE, PRIVATE, _, ASKED, LINKS,
 FACTS_AT, LEASE, EPOCH, NONCE, ROOT, COVERED, METER) = range(23)
(GENESIS, START, OPEN, CLOSE, REFUSAL, IN_FORCE, REGISTRY, ADMIN, REDECISION, STOP, HEADS, MORE, METERED,
 RECONCILED) = range(1, 15)
CLASSES = {"subject": b"\1", "key": b"\2", "organization": b"\3", "model": b"\4", "in_force": b"\5"}
FIELDS = {OPEN: {1, 2, 5}, CLOSE: {1, 3, 4, 6}}  # of private parts (2); all others have field 1 alone
FACTS, LONGEST, FURTHEST, GRACE = 1 << 20, 1 << 24, 1 << 17, 10_000  # bytes, bytes, entries, milliseconds
DISCLOSE = {"facts": {1}, "digests": {2, 3, 4}, "content": {5, 6}}
ENDS = ["open", "completed", "cut", "client_gone", "upstream_failed", "interrupted", "not_served"]
MOST = {"manifest.json": 1 << 24, **dict.fromkeys(["checkpoint", "log.vkey", "policy"], 1 << 20),
        **dict.fromkeys(["heads.json", "sums.json", "names.json"], 1 << 30)}  # bytes
FILES = {"calls.csv", "entries", "hashes", *MOST}  # of a production
DESK = ("directive.", "license.", "approver.", "production.", "desk.")  # what codes of its entries begin with
KINDS, VERBS = ["directive", "license"], ["apply", "stay", "vacate", "lift", "restore"]
PLAIN = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False)  # RFC 8785, for what `parse` has read


class Wrong(Exception):
    """What does not hold, and which check says so, once that is known."""


def must(holds, what: str, name: str = "") -> None:
    """Refuses what does not hold."""
    if not holds:
        raise Wrong(what, name)


@contextmanager
def check(name: str, about: str = ""):
    """Tells which check finds wrong what is found inside, and of what; also where something is not of its form."""
    try:
        yield
    except Wrong as wrong:
        raise Wrong(about + wrong.args[0], wrong.args[1] or name) from None
    except (ArithmeticError, AttributeError, LookupError, MemoryError, RecursionError, TypeError, ValueError,
            struct.error) as error:
        raise Wrong(f"{about}is not of its form ({type(error).__name__}: {error})", name) from None


def read(path: Path) -> bytes:
    """Reads a regular file, not a link to one, of at most so many bytes as one of its name may have."""
    about, most = path.lstat(), MOST.get(path.name, 1 << 32)
    must(stat.S_ISREG(about.st_mode) and about.st_size <= most, f"`{path}` is no file up to {most} bytes", "manifest")
    return path.read_bytes()


def sha(*parts: bytes) -> bytes:
    """Returns the SHA-256 of the parts, joined."""
    return hashlib.sha256(b"".join(parts)).digest()


def packed(name: bytes, *numbers: int) -> bytes:
    """Spells a name or a hash, and numbers, 8 bytes each."""
    return name + struct.pack(f">{len(numbers)}Q", *numbers)


def unbase64(text: str, url: bool = False) -> bytes:
    """Reads base64 with padding, or base64url without, in its one spelling."""
    data = base64.b64decode(text + "==", b"-_" if url else None)
    spelled = base64.urlsafe_b64encode(data).rstrip(b"=") if url else base64.b64encode(data)
    must(spelled.decode() == text, f"`{text[:40]}` is not base64 in its one spelling")
    return data


def unhex(text: str, size: int = 32) -> bytes:
    """Reads so many bytes in hexadecimal digits."""
    must(re.fullmatch("[0-9a-f]{%d}" % (2 * size), text), f"`{text[:80]}` is not {size} bytes in hexadecimal digits")
    return bytes.fromhex(text)


def moment(text: str) -> int:
    """Returns the milliseconds since 1970 of a time in RFC 3339, in UTC."""
    found = re.fullmatch(r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(\.[0-9]{1,3})?Z", text)
    must(found and text >= "1970", f"`{text}` is not a time in UTC")
    at = datetime.fromisoformat(found[1] + (found[2] or ".").ljust(4, "0"))
    return (at - datetime(1970, 1, 1)) // timedelta(milliseconds=1)


class Members(dict):
    """What was read: its members, in the order of their shape, are attributes too."""
    __getattr__ = dict.__getitem__


def shaped(value, shape):
    """Reads what has a shape: a type, so many bytes, a text, members, a list; or what a function reads, or anything."""
    kind = type(shape)
    if kind in (int, str, type):
        good = type(value) is shape and (shape is not int or 0 <= value < 1 << 64) or kind is str and value == shape
        good = good or kind is int and type(value) is bytes and len(value) == shape
        must(good, "there is something else in place of a number, bytes or a text")
        return value
    if kind is dict:
        must(type(value) is dict and value.keys() == shape.keys(), f"an object does not have just {list(shape)}")
        return Members((name, shaped(value[name], of)) for name, of in shape.items())
    if kind is tuple and shape[0] is None:  # or has the shape that follows
        return None if value is None else shaped(value, shape[1])
    if kind in (list, tuple):  # any number of one shape, or one of each
        good = type(value) is list and (kind is list or len(value) == len(shape))
        must(good, "there is something else in place of an array")
        return [shaped(one, of) for one, of in zip(value, shape * len(value))]
    return shape(value) if shape else value


def parse(data: bytes, shape):
    """Reads JSON of a shape, in which no object names a member twice and every number is unsigned."""
    def members(pairs):
        must(len(dict(pairs)) == len(pairs), "a member of its JSON is named twice")
        # In their canonical order (RFC 8785 section 3.2.3).
        return dict(sorted(pairs, key=lambda pair: pair[0].encode("utf-16-be")))

    def number(digits):
        must(re.fullmatch("[0-9]{1,20}", digits), f"`{digits[:40]}` is not an unsigned integer of 64 bits")
        return shaped(int(digits), int)

    must(data is not None, "a field that this needs is withheld")
    value = json.loads(data.decode(), object_pairs_hook=members, parse_int=number, parse_float=number,
                       parse_constant=number)
    PLAIN.encode(value).encode()  # which half a surrogate pair has no spelling for
    return shaped(value, shape)


def some(value: dict, shape: dict) -> Members:
    """Reads members of an object that may have others; one that is absent is as good as none."""
    return shaped({name: value.get(name) for name in shape}, shape)


def deep(value) -> int:
    """Says how many arrays and objects of what was parsed stand in one another."""
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inside is None else 1 + max(map(deep, inside), default=0)


def canonical(value) -> bytes:
    """Spells what was parsed as RFC 8785 has it, in which there is no number of more than 53 bits."""
    text = PLAIN.encode(value)
    json.loads(text, parse_int=lambda digits: must(int(digits) < 1 << 53, f"{digits} has no canonical spelling"))
    return text.encode()


# Ed25519 (RFC 8032): verification only, so nothing is secret and nothing needs constant time.
P, ORDER = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P


def plus(a: tuple, b: tuple) -> tuple:
    """Adds two points in extended coordinates (section 5.1.4)."""
    low, high = (a[1] - a[0]) * (b[1] - b[0]), (a[1] + a[0]) * (b[1] + b[0])
    cross, twice = 2 * a[3] * b[3] * D, 2 * a[2] * b[2]
    e, f, g, h = (high - low) % P, (twice - cross) % P, (twice + cross) % P, (high + low) % P
    return e * f % P, g * h % P, f * g % P, e * h % P


def times(scalar: int, point: tuple) -> tuple:
    """Adds a point to itself so often."""
    total = (0, 1, 1, 0)
    while scalar:
        total = plus(total, point) if scalar & 1 else total
        point, scalar = plus(point, point), scalar >> 1
    return total


def decoded(data: bytes):
    """Decodes a point (section 5.1.3); returns nothing for other spellings of it and for points of small order."""
    sign, y = divmod(int.from_bytes(data, "little"), 2**255)
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    x = x if x * x % P == square else x * pow(2, (P - 1) // 4, P) % P
    x = P - x if x & 1 != sign else x
    good = len(data) == 32 and y < P and x * x % P == square and times(8, (x, y, 1, x * y % P))[0]
    return (x, y, 1, x * y % P) if good else None


def signed(public: bytes, message: bytes, signature: bytes) -> bool:
    """Says whether `signature` is that of `message` by the key `public` (section 5.1.7)."""
    key, r, s = decoded(public), decoded(signature[:32]), int.from_bytes(signature[32:], "little")
    if not (key and r and len(signature) == 64 and s < ORDER):
        return False
    k = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % ORDER
    a, b = times(s, decoded(b"\x58" + b"\x66" * 31)), plus(r, times(k, key))
    return (a[0] * b[2] - b[0] * a[2]) % P == 0 == (a[1] * b[2] - b[1] * a[2]) % P


def verifier_key(text: str) -> Members:
    """Reads a verifier key (4); the id of one with ML-DSA, which is used for nothing here, is taken as it is."""
    found = re.fullmatch(r"([^\s+]+)\+([0-9a-f]{8})\+(\S+)", text)
    must(found, f"`{text}` is not a verifier key")
    name, hint, data = found[1], bytes.fromhex(found[2]), unbase64(found[3])
    must(data[0] == 6 or hint == sha(name.encode(), b"\n", data)[:4], f"the hash in `{text}` is not that of its key")
    return Members(name=name, id=hint, algorithm=data[0], public=data[1:])


# The shapes of fields of entries (1), and of JSON (8 to 10, and the directive desk).
ENTRY = {**dict.fromkeys((VERSION, KIND, TIME, OPENED, OUTCOME, FACTS_AT, LEASE, EPOCH, COVERED), int), CALL: 16,
         SUBJECT: 16, SNAPSHOT: 32, PRIVATE: 32, NONCE: 8, ROOT: 32, METER: 8, MODEL: str, BASIS: [str], CODE: str,
         USAGE: dict, ASKED: str, LINKS: [(int, 16, int, int)]}
BEGINNING, NOTE = {"origin": str, "key": str}, {"unclean": bool, "interrupted": int}
SUMS = dict.fromkeys(["calls", "input", "output", "events"], int)
SIDE = {"key": str, **dict.fromkeys(["completed", "early"], {"root": unhex, **SUMS}), "signature": unbase64}
STATEMENT = {"format": "exeat-sums/v2", "model": str, "hour": int, "gateway": SIDE, "meter": SIDE,
             "differ": {"calls": int, "gateway": SUMS, "meter": SUMS, "hash": unhex}}
PROOF = {"size": int, "positions": [int], "nodes": [(unhex, int, int, int, int)]}
CHAIN = {"class": CLASSES.__getitem__, "id": partial(unhex, size=16)}
HEAD = dict.fromkeys(["seq", "last", "calls", "refusals", "input", "output", "events"], int)
AT_HEADS = {"entry": int, "head": (None, HEAD), "path": [(int, unhex)]}
SPAN = {**CHAIN, "from": (None, dict), "to": dict}
SELECTION = {"class": str, "name": str, "model": (None, str), "from": moment, "to": moment, "disclose": [str]}
MANIFEST = {"payloadType": "application/vnd.in-toto+json", "payload": unbase64,
            "signatures": [{"keyid": str, "sig": unbase64}]}
PAYLOAD = {"_type": "https://in-toto.io/Statement/v1", "subject": [{"name": str, "digest": {"sha256": unhex}}],
           "predicateType": "https://exeat.example/production/v1", "predicate": {
               "origin": str, "size": int, "selection": None, "custody": int, "engine": None}}
APPROVAL = {"act": None, "approver": str, "role": str, "public_key": str, "jws": str}
CUSTODY = {"actor": str, "selection": None, "approvals": [APPROVAL]}
ACT = {"type": "approval/v1", "act": str, "kind": str, "id": str, "version": int, "document_sha256": unhex,
       "valid_until": moment}
HEADER = {"alg": "EdDSA", "kid": str, "typ": "exeat-approval+jws"}
ENVELOPE = {"version": int, "actor": str, "change": {"record": str, "body": None}}
APPROVER = {"id": str, "role": str, "public_key": str, "revoked_at": (None, str)}
GLASS = {"kind": str, "id": str, "version": int, "restore": (None, dict), "ended": None}


class Checkpoint:
    """A checkpoint that the pinned key signed for its own origin (4)."""

    @check("checkpoint")
    def __init__(self, data: bytes, key: Members) -> None:
        line = "\u2014 ([^\\s+\x7f-\x9f]+) ([^ \n]+)\n"
        found = re.fullmatch(f"((.+)\n(0|[1-9][0-9]{{0,18}})\n(.{{44}})\n)\n((?:{line}){{1,64}})", data.decode())
        must(found and len(data) <= 1 << 18 and not re.search(b"[\0-\x09\x0b-\x1f]", data), "is no note of three lines")
        self.text, self.origin, self.size, self.root = found[1].encode(), found[2], int(found[3]), unbase64(found[4])
        self.lines = [(name, unbase64(sealed)) for name, sealed in re.findall(line, found[5])]
        must(all(len(sealed) > 4 for _, sealed in self.lines), "has a line that is not a signature")
        must(self.origin == key.name, f"is of `{self.origin}`, and the key is that of `{key.name}`")
        must(key.algorithm == 1 and self.signed_by(key), "is not signed by the pinned key")

    def signed_by(self, key: Members) -> bool:
        """Says whether `key` signed, alone or with a time (cosignature/v1); what does not verify is an error."""
        mine = [line[4:] for name, line in self.lines if (name, line[:4]) == (key.name, key.id)]
        for line in mine if key.algorithm != 6 else []:
            at = 8 if key.algorithm == 4 else 0
            head = b"cosignature/v1\ntime %d\n" % int.from_bytes(line[:at], "big") if at else b""
            must(signed(key.public, head + self.text, line[at:]), f"the signature of `{key.name}` does not verify")
        return bool(mine) and key.algorithm != 6


def cbor(data: bytes, at: int) -> tuple:
    """Reads an item at `at`: an unsigned integer, bytes, text, array, or map with rising keys, in its one spelling."""
    major, size, at = data[at] >> 5, data[at] & 31, at + 1
    if size >= 24:
        width = (1, 2, 4, 8)[size - 24]
        size, at = int.from_bytes(data[at:at + width], "big"), at + width
        must(size >= (24 if width == 1 else 1 << 4 * width) and at <= len(data), "a number is not in its shortest form")
    if major == 0:
        return size, at
    if major in (2, 3):
        value, at = data[at:at + size], at + size
        must(at <= len(data), "a text or bytes end too early")
        return value if major == 2 else value.decode(), at
    must(major in (4, 5) and size < len(data), "there is an item that is in no entry")
    items = []
    for _ in range(size * (major - 3)):
        item, at = (data[at], at + 1) if data[at] < 24 else cbor(data, at)  # most are small numbers
        items.append(item)
    if major == 4:
        return items, at
    keys = items[::2]
    must(set(map(type, keys)) <= {int} and keys == sorted(set(keys)), "the keys of a map do not rise")
    return dict(zip(keys, items[1::2])), at


class Shown:
    """An entry (1), and the fields of its private part that are shown; those that are withheld are none."""

    def __init__(self, index: int, data: bytes) -> None:
        with check("entry", f"entry {index} "):
            (self.entry, end), self.index, self.hash, self.fields = cbor(data, 0), index, sha(b"\0", data), {}
            must(end == len(data) <= 1024, "is longer than its map, or than 1,024 bytes")
            self.kind, self.time, entry = self.entry[KIND], self.entry[TIME], self.entry
            for key, value in entry.items():
                shaped(value, ENTRY[key])
            good, used = entry[VERSION] == 2 and 1 <= self.kind <= 14, entry.get(USAGE, {2: 0, 3: 0})
            good = good and 1 <= entry.get(OUTCOME, 1) <= 6 and entry.get(EPOCH, 0) < 1 << 32
            good = good and {2, 3} <= used.keys() <= {0, 1, 2, 3} and set(map(type, used.values())) == {int}
            must(good, "has a version, kind, outcome, epoch or usage that there is not")
            has, other = {PRIVATE, EPOCH, NONCE} & entry.keys(), CALL if self.kind in (OPEN, CLOSE, REFUSAL) else NONCE
            good = not has or has == {PRIVATE, EPOCH, other} - {CALL} and other in entry
            must(good, "lacks what belongs to its private part")
            links = entry.get(LINKS, [])
            self.chains = {bytes([of]) + name: (seq, back) for of, name, seq, back in links}
            good = (links or LINKS not in entry) and [bytes([one[0]]) + one[1] for one in links] == sorted(self.chains)
            for of, name, seq, back in links:
                good = good and 1 <= of <= 5 and (of < 5 or name == bytes(16)) and (seq == 0) == (back == 0)
            must(good, "has links that are not in order, or one that is not a link")
        is_cut = self.kind == CLOSE and entry.get(OUTCOME) == 2
        self.decides = self.kind in (OPEN, REFUSAL, REDECISION) or is_cut and SNAPSHOT in entry

    def lacks(self, wanted) -> bool:
        """Says whether the private part, or one of these fields of it, is withheld."""
        return PRIVATE in self.entry and (not self.fields or any(self.fields.get(of, b"") is None for of in wanted))

    def may_have_facts(self) -> bool:
        """Says whether it has a first field of its own, as far as that is told."""
        return PRIVATE in self.entry and (not self.fields or 1 in self.fields)


@check("entries")
def read_entries(data: bytes) -> dict:
    """Reads `entries` (7); every private part opens the commitment of its entry (2)."""
    stream, entries, last = io.BytesIO(data), {}, -1

    def take(size):
        must(stream.tell() + size <= len(data), f"the file ends within what follows entry {last}")
        return stream.read(size)

    must(take(16) == b"exeat-entries/v2", "is not a file of entries of version 2")
    while stream.tell() < len(data):
        index, size = struct.unpack(">QH", take(10))
        must(last < index, f"entry {index} stands after entry {last}")
        shown = entries[index] = Shown(index, take(size))
        before, commitments, last = 0, [b"exeat/private/v2"], index
        for _ in range(take(1)[0]):
            name, is_shown = take(2)
            good = before < name and name in FIELDS.get(shown.kind, {1}) and is_shown < 2
            must(good, f"the fields of entry {index} are not in order, or not of its kind")
            before, shown.fields[name] = name, None
            if is_shown:
                salt, length = take(16), take(4)
                most = FACTS if name == 1 and shown.kind in (OPEN, CLOSE, REFUSAL, REDECISION) else LONGEST
                must(int.from_bytes(length, "big") <= most, f"a field of entry {index} is longer than {most} bytes")
                shown.fields[name] = take(int.from_bytes(length, "big"))
                said = b"exeat/field/v2%c\0\0\0\0" % name + length + shown.fields[name]
            commitments += [bytes([name]), hmac.digest(salt, said, "sha256") if is_shown else take(32)]
        good = not before or shown.entry.get(PRIVATE) == sha(*commitments)
        must(good, f"the private part of entry {index} does not open its commitment", "commitment")
    return entries


def fold(size: int, ours: dict, others: list, join):
    """Computes the root of a tree (3, 10): in each range without a leaf of `ours` stands the next of `others`."""
    at, rest = sorted(ours), others[::-1]

    def root(low, high):
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


node = partial(sha, b"\1")  # joins two nodes of a tree (3)


def summed(left: list, right: list) -> list:
    """Joins two nodes of a tree with sums (9): a hash, and the sums of calls, input, output and events."""
    return [sha(b"\1", packed(*left), packed(*right)), *map(sum, zip(left[1:], right[1:]))]


def extend(heads: dict, shown: Shown, key: bytes) -> None:
    """Puts an entry into its place in a chain (8): the next number, pointing back at the one before."""
    head, used = heads.get(key, [0] * 7), shown.entry.get(USAGE, {}) if shown.kind == CLOSE else {}
    good = shown.chains[key] == (head[0], shown.index - head[1] if head[0] else 0)
    must(good, f"entry {shown.index} is not the next of the chain {key.hex()}, which has {head[0]}", "link")
    tokens = [min(head[4 + of] + used.get(of, 0), 2**64 - 1) for of in (0, 1, 2)] if used else head[4:]
    heads[key] = [head[0] + 1, shown.index, head[2] + (shown.kind == OPEN), head[3] + (shown.kind == REFUSAL), *tokens]


def map_root(heads: dict) -> bytes:
    """Computes the root of the head map (8)."""
    keys = sorted(heads)
    values = [int.from_bytes(key, "big") for key in keys]

    def root(low, high):
        if high - low == 1:
            return sha(b"\0", packed(keys[low], *heads[keys[low]]))
        below = (values[low] ^ values[high - 1]).bit_length()
        middle = bisect_left(values, values[high - 1] >> below - 1 << below - 1, low, high)
        return sha(b"\1", struct.pack(">H", 136 - below), root(low, middle), root(middle, high))

    return root(0, len(keys)) if keys else sha()


@check("tree")
def tree(data: bytes, note: Checkpoint, hashes: bytes = b"") -> dict:
    """Reads entries that lead to the root of the checkpoint, with the hashes of all others."""
    shown = read_entries(data)
    others = [hashes[at:at + 32] for at in range(0, len(hashes), 32)] + [sha()] * (not note.size)
    root = fold(note.size, {at: one.hash for at, one in shown.items()}, others, node)
    must(root == note.root, "the entries do not lead to the checkpoint's root")
    return shown


class Log:
    """Holds entries, each against those before it (11): of a part of a log, the calls of a chain that began in it."""

    def __init__(self, shown: dict, chain=None) -> None:
        self.shown, self.chain, self.time, self.last, self.interrupted = shown, chain, 0, 0, 0
        self.in_force, self.replaced = None, {}  # a snapshot; those that were in force before, and until when
        self.opens, self.closes, self.leases, self.live = {}, {}, {}, set()  # by the index of the open entry; calls
        self.hours = {}  # closes, by the model version, hour and meter in whose sums their calls count

    def see(self, one: Shown) -> None:
        """Checks points 5, 8, 12, 13 and 14, and of points 9 and 10 that the snapshot was in force."""
        with check("call", f"entry {one.index} "):
            entry, kind, named, document = one.entry, one.kind, one.entry.get(SNAPSHOT), one.fields.get(1)
            must(one.time >= self.time, "is of earlier than the entry before it", "time")
            self.time, classes = one.time, [key[0] for key in one.chains]
            goes_on, names = kind in (CLOSE, REDECISION, MORE), {CALL, MODEL} <= entry.keys()
            if kind in (OPEN, REFUSAL):
                good = names and b"\1" + entry.get(SUBJECT, b"") in one.chains
                good = good and [of for of in classes if of != 3] in ([1, 4], [1, 2, 4])
                must(good, "does not name one call, subject and model")
            elif not goes_on:
                good = classes == {IN_FORCE: [5], RECONCILED: [4]}.get(kind, []) or kind == METERED and 5 not in classes
                must(good, "is in other chains than its kind", "link")
            mine = not self.chain or self.chain.key in one.chains and entry.get(OPENED, one.index) > self.chain.first
            must(not mine or self.has_facts(one), "has no facts, or those of another", "facts")
            if kind == IN_FORCE:
                good = PRIVATE in entry and named is not None and (document is None or named == sha(document))
                must(good, "names another document, or has none", "snapshot")
                self.replaced[self.in_force], self.in_force = self.time, named
            elif one.decides and mine:
                good = named == self.in_force or self.replaced.get(named, -GRACE - 1) + GRACE >= self.time
                must(named is not None and good, "names a snapshot that was not in force", "snapshot")
            if mine and goes_on:
                self.follow(one, entry[OPENED])
            elif mine and (kind == OPEN or kind == METERED and OUTCOME not in entry):
                must(names, "does not name a call and a model")
                must(kind == METERED or entry[CALL] not in self.live, "opens a call that is open")
                self.live.update([entry[CALL]] if kind == OPEN else [])
                self.opens[one.index], self.leases[one.index] = one, entry.get(LEASE, -1)

    def has_facts(self, one: Shown) -> bool:
        """Says whether an entry has the facts that it needs itself, or those of one that has some itself (10, 14)."""
        at = one.entry.get(FACTS_AT)
        if one.kind not in (OPEN, REFUSAL, REDECISION) or at is None:
            return at is None and (not one.decides or one.may_have_facts())
        of = self.shown.get(at)
        good = of and of.kind in (OPEN, REFUSAL, REDECISION) and FACTS_AT not in of.entry and of.may_have_facts()
        good = good and [key for key in of.chains if key[0] == 1] == [key for key in one.chains if key[0] == 1]
        return bool(good or not of and self.chain) and 0 < one.index - at <= FURTHEST and 1 not in one.fields

    def follow(self, one: Shown, at: int) -> None:
        """Holds a close, a redecision or a lease against the entry that opened its call, which is that at `at`."""
        must(at in self.opens, f"names {at}, which opened no call")
        entry, about, ended = one.entry, self.opens[at].entry, self.closes.get(at)
        good = all(entry.get(name) == about[name] for name in (CALL, MODEL))
        must(good and entry.get(SUBJECT) in (None, about.get(SUBJECT)), f"is not of the call of {at}")
        must(one.chains.keys() == self.opens[at].chains.keys(), "is not in the chains of its call")
        must(not ended or one.kind == REDECISION and self.time <= ended.time + GRACE, "is about a call that has ended")
        lease, usage, outcome = self.leases.get(at, -1), entry.get(USAGE), entry.get(OUTCOME)
        if one.kind == MORE:
            must(entry[LEASE] > lease >= 0, "does not raise its lease", "lease")
            self.leases[at] = entry[LEASE]
        elif one.kind == CLOSE:
            good = lease < 0 or (usage or {2: 0})[2] <= lease and (outcome != 5 or entry.get(LEASE) == lease)
            must(good, f"does not keep to the lease of its call, {lease}", "lease")
            good = outcome and (usage or outcome == 5) and (CODE in entry or outcome != 2)
            must(good, "closes a call without an outcome, its usage, or why it was cut")
            self.closes[at] = one
            self.live.discard(about[CALL])
            del self.leases[at]
            one.hour = (about[MODEL], self.opens[at].time // 3_600_000, entry.get(METER, b""))
            self.hours.setdefault(one.hour, []).append(one)

    @check("order")
    def process(self, one: Shown, genesis: list) -> None:
        """Checks points 6 and 7: how processes begin and end."""
        index, kind, document, clean = one.index, one.kind, one.fields.get(1), self.last in (GENESIS, STOP)
        ended = kind == CLOSE and one.entry.get(OUTCOME) == 5
        must((kind == GENESIS) == (index == 0), f"entry {index}: a genesis is the first entry and no other")
        must(kind == START or ended or not (self.interrupted or clean), f"a process has to start at entry {index}")
        if kind == GENESIS and document is not None:
            must([*parse(document, BEGINNING).values()] == genesis, "the genesis is that of another log")
        if kind == START:
            must(not self.leases, f"calls are open at the start in entry {index}")
            said = Members(unclean=not clean, interrupted=0) if document is None else parse(document, NOTE)
            good = said.unclean != clean and said.interrupted <= self.interrupted
            must(good, f"entry {index} tells another end of the process before it")
        self.interrupted, self.last = 0 if kind == START else self.interrupted + ended, kind

    def reconciled(self, statements: list, closes, asked) -> dict:
        """Reports what meters said, and of how many calls none did: those of a meter, and what completed without."""
        hours, keys = {one.hour for one in statements}, sorted({one.meter for one in statements})
        of = [one for one in closes if self.opens[one.entry[OPENED]].kind == OPEN and one.hour not in hours]
        return {"meters": [f"{key} ({'pinned' if asked.meter else 'not pinned'})" for key in keys],
                "hours_that_differ": sum(one.differs for one in statements),
                "not_reconciled": sum(METER in one.entry or one.entry[OUTCOME] == 1 for one in of)}


@check("sums")
def statement(shown: Shown, asked) -> Members:
    """Checks a reconciliation (9, point 15): its hour, the gateway's two trees, whether the sides agree."""
    said, entry, at = parse(shown.fields.get(1), STATEMENT), shown.entry, shown.index
    sides, differ = (said.gateway, said.meter), said.differ
    keys = [verifier_key(side.key) for side in sides]
    trees = [[[*side.completed.values()], [*side.early.values()]] for side in sides]
    totals = [sha(b"\2", packed(*completed), packed(*early)) for completed, early in trees]
    names = b"".join(text.encode() + b"\0" for text in (keys[0].name, keys[1].name, said.model))
    for key, total, side in zip(keys, totals, sides):
        good = signed(key.public, packed(b"exeat/sums/v2" + names, said.hour) + total, side.signature)
        must(key.algorithm == 1 and good, f"`{key.name}` did not sign what entry {at} says")
    none = not any([*differ.gateway.values(), *differ.meter.values()]) and trees[0][0] == trees[1][0]
    good = max(differ.gateway.calls, differ.meter.calls) <= differ.calls
    must(good if differ.calls else none and differ.hash == sha(b"\3"), f"entry {at} contradicts itself")
    good = (shown.kind, entry.get(MODEL), entry.get(CODE))
    must(good == (RECONCILED, said.model, "differ" if differ.calls else "agree"), f"entry {at} says something else")
    must((asked.log, entry.get(ROOT)) in zip(keys, totals), f"entry {at} has another root or key")
    must(not asked.meter or said.meter.key in asked.meter, f"`{said.meter.key}` is not the key of a meter", "meter")
    may = {"all", str(at)} & {*asked.allow_differences}
    must(may or not differ.calls, f"the sides of entry {at} do not agree", "differences")
    hour = (said.model, said.hour, sha(keys[1].name.encode())[:8]) if keys[0] == asked.log else None
    return Members(at=at, trees=trees[0], meter=said.meter.key, differs=differ.calls > 0, hour=hour)


@check("sums")
def add_up(at: int, trees: list, log: Log, closes: list, proofs=(None, None)) -> None:
    """Holds the trees of a statement against the calls in them, some of which may be known by their proofs alone."""
    must(all(one.index < at for one in closes), f"a call ended after entry {at}, which counts it")
    for tree, is_completed, proof in zip(trees, (True, False), proofs):
        mine = [one.entry for one in closes if (one.entry[OUTCOME] == 1) == is_completed]
        mine = sorted([entry[CALL], 1, *(entry.get(USAGE, {}).get(of, 0) for of in (0, 1, 2))] for entry in mine)
        proof = proof or Members(size=len(mine), positions=list(range(len(mine))), nodes=[])
        good = proof.positions == sorted(set(proof.positions)) and len(proof.positions) == len(mine)
        must(good and len({one[0] for one in mine}) == len(mine), f"entry {at} is not about the calls shown")
        leaves = dict(zip(proof.positions, ([sha(b"\0", packed(*one)), *one[1:]] for one in mine)))
        top = fold(proof.size, leaves, proof.nodes + [[sha(), 0, 0, 0, 0]] * (not proof.size), summed)
        must(top == tree and tree[1] == proof.size, f"the calls shown do not lead to the sums of entry {at}")


def bundle(asked) -> dict:
    """Checks a whole log (7, 11)."""
    files = {name: read(asked.path / name) for name in ("checkpoint", "log.vkey", "entries", "manifest.json")}
    note = Checkpoint(files["checkpoint"], asked.log)
    lines = ['  "format": "exeat-bundle/v2"', f'  "origin": {json.dumps(note.origin, ensure_ascii=False)}',
             '  "first": 0', f'  "size": {note.size}']
    lines += [f'  "{name}": {{"bytes": {len(files[name])}, "sha256": "{sha(files[name]).hex()}"}}'
              for name in ("checkpoint", "log.vkey", "entries")]
    good = files["manifest.json"] == ("{\n" + ",\n".join(lines) + "\n}\n").encode()
    must(good, "is not that of these files in its one layout", "manifest")
    must(files["log.vkey"] == asked.key.encode() + b"\n", "`log.vkey` is not the pinned key", "manifest")
    shown, heads = tree(files["entries"], note), {}
    log, desk = Log(shown), Desk()
    for one in shown.values():
        log.process(one, [note.origin, asked.key])
        log.see(one)
        desk.take(one)
        if one.kind == HEADS:
            good = (one.entry.get(COVERED), one.entry.get(ROOT)) == (one.index, map_root(heads))
            must(good, f"entry {one.index} does not have the root over the chains before it", "heads")
        for chain in one.chains:
            extend(heads, one, chain)
    told = [one for one in shown.values() if one.kind == RECONCILED and one.fields.get(1) is not None]
    statements = [statement(one, asked) for one in told]
    for said in (said for said in statements if said.hour):
        add_up(said.at, said.trees, log, log.hours.get(said.hour, []))
    withheld = sum(one.lacks(one.fields) for one in shown.values())
    must(asked.allow_withheld or not withheld, f"of {withheld} entries something is withheld", "withheld")
    return {"origin": note.origin, "entries": note.size, "calls": len(log.opens), "open": len(log.leases),
            "chains": len(heads), "withheld": withheld,
            **log.reconciled(statements, log.closes.values(), asked), "decisions": "not made again"}


@check("receipt")
def receipt(asked) -> dict:
    """Checks that an entry is in the log (5)."""
    text = read(asked.path)
    found = re.fullmatch(r"c2sp\.org/tlog-proof@v1\n(?:extra (.*)\n)?index (0|[1-9][0-9]{0,18})\n((?:.{44}\n){0,63})\n"
                         r"([^\0]*)", text.decode())
    must(found and len(text) <= 532_480, "is not a tlog-proof, or longer than one may be")
    unbase64(found[1] or "")
    note, index = Checkpoint(found[4].encode(), asked.log), int(found[2])
    proof, shown = [unbase64(line) for line in found[3].split("\n")[:-1]], Shown(index, read(asked.leaf))

    def root(low, high):
        if high - low == 1:
            return shown.hash
        middle, side = low + (1 << (high - low - 1).bit_length() - 1), proof.pop()
        return node(root(low, middle), side) if index < middle else node(side, root(middle, high))

    must(index < note.size and root(0, note.size) == note.root and not proof, "does not lead to the checkpoint's root")
    return {"origin": note.origin, "entries": note.size, "index": index}


@check("policy")
def meets(note: Checkpoint, policy: bytes, log: Members) -> list:
    """Requires that the quorum of a C2SP tlog-policy cosigned a checkpoint; returns which of its witnesses did."""
    logs, witnesses, quorum, groups, members = [], [], None, {b"none": True}, {b"none"}
    must(re.fullmatch(rb"[^\0-\x08\x0b-\x1f\x7f]*\n", policy), "is not lines of text")
    for verb, *rest in (line.split() or [b"#"] for line in policy.split(b"\n")):
        is_new = rest and rest[0] not in groups
        if verb == b"log" and len(rest) in (1, 2):
            logs.append(verifier_key(rest[0].decode()))
        elif verb == b"witness" and len(rest) in (2, 3) and is_new:
            witnesses.append(verifier_key(rest[1].decode()))
            groups[rest[0]] = note.signed_by(witnesses[-1])
        elif verb == b"group" and len(rest) > 2 and is_new:
            name, word, *of = rest
            word = {b"any": b"1", b"all": b"%d" % len(of)}.get(word, word)
            least = int(word) if re.fullmatch(b"[1-9][0-9]{0,8}", word) else 0
            must(len(set(of)) == len(of) >= least > 0, f"the group {name!r} asks for what cannot be")
            must(set(of) <= groups.keys() - members, f"the group {name!r} has no such members")
            groups[name] = sum(groups[member] for member in of) >= least
            members.update(of)
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


def head_at(value: dict, asked: bytes, shown: dict) -> tuple:
    """Returns of which heads entry a head is, and the head of the chain asked for (8), zeros where there is none."""
    said = shaped(value, {**AT_HEADS, "other": {**CHAIN, "head": HEAD}} if "other" in value else AT_HEADS)
    at, key, leaf = said.entry, asked, said.head
    must(shown[at].kind == HEADS and shown[at].entry[COVERED] == at, f"entry {at} is not a heads entry")
    if "other" in said:
        key, leaf = said.other["class"] + said.other.id, said.other.head
        must(not said.head and key != asked, "another leaf shows a head, or the chain that it has none")
    must(leaf or not said.path, "there is a path from no leaf")
    top, bits = sha(b"\0", packed(key, *leaf.values())) if leaf else sha(), [bit for bit, _ in said.path]
    must(bits == sorted(set(bits), reverse=True) and set(bits) <= set(range(136)), "the bits of a path do not fall")
    for bit, side in said.path:
        left, other = (not one[bit // 8] >> 7 - bit % 8 & 1 for one in (asked, key))
        must(left == other, "the other leaf is not where the chain would be")
        top = sha(b"\1", struct.pack(">H", bit), *([top, side] if left else [side, top]))
    must(top == shown[at].entry[ROOT], f"a path does not lead to the root of entry {at}")
    return at, [*said.head.values()] if said.head else [0] * 7


@check("heads")
def span(said: Members, shown: dict) -> Members:
    """Reads a chain between two heads entries (8); returns its entries, too, which are all that there are."""
    key = said["class"] + said.id
    first, start = head_at(said["from"], key, shown) if said["from"] is not None else (-1, [0] * 7)
    last, end = head_at(said.to, key, shown)
    heads, entries = {key: start}, [one for at, one in shown.items() if first < at < last and key in one.chains]
    for one in entries:
        extend(heads, one, key)
    must(heads[key] == end, f"the chain {key.hex()} does not come to its head in {last}", "complete")
    return Members(key=key, first=first, last=last, start=start, entries=entries)


@check("selection")
def selected(value: dict) -> Members:
    """Reads what was asked for (10)."""
    said = shaped(value, SELECTION)
    must(said["from"] < said.to and said.disclose == [of for of in DISCLOSE if of in said.disclose], "is not in form")
    must(said["class"] in CLASSES.keys() - {"in_force"}, f"there are no names of the class `{said['class']}`")
    return said


@check("manifest")
def manifest(files: dict, key: Members) -> Members:
    """Checks the signed list of files (10); returns what its predicate says."""
    envelope = parse(files["manifest.json"], MANIFEST)
    [by], kind, payload = envelope.signatures, envelope.payloadType.encode(), envelope.payload
    good = signed(key.public, b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload), by.sig)
    must(by.keyid == key.name and good, "is not signed by the pinned key")
    said = parse(payload, PAYLOAD)
    listed = {one.name: one.digest.sha256 for one in said.subject}
    must([one.name for one in said.subject] == sorted(listed), "does not list the files in order")
    odd = listed.keys() ^ files.keys() - {"manifest.json"}
    must(not odd, f"`{min(odd, default='')}` is not both there and listed")
    for name, digest in listed.items():
        must(digest == sha(files[name]), f"`{name}` is not the file that was signed")
    return said.predicate


def approved(one: Members) -> Members:
    """Checks the signature of an approval (the directive desk, 1 and 2); returns the act."""
    act, who, (header, body, seal) = shaped(one.act, ACT), one.approver, one.jws.split(".")
    text = header + "." + base64.urlsafe_b64encode(canonical(one.act)).rstrip(b"=").decode()
    good = parse(unbase64(header, True), HEADER).kid == who and body == "" and len(one.jws.encode()) <= 512
    good = good and signed(unbase64(one.public_key, True), text.encode(), unbase64(seal, True))
    must(good, f"`{who}` did not sign the approval")
    return act


@check("custody")
def custody(one: Shown) -> tuple:
    """Checks a custody entry (10); returns the selection and its approvals."""
    must(one.kind == ADMIN and one.entry.get(CODE) == "custody.export", "the custody entry is another one")
    said = parse(one.fields.get(1), CUSTODY)
    selection, acts = selected(said.selection), [approved(by) for by in said.approvals]
    for act, by in zip(acts, said.approvals):
        good = (act.act, act.kind, act.document_sha256) == ("produce", "production", sha(canonical(said.selection)))
        good = good and one.time < act.valid_until + GRACE
        must(good, f"`{by.approver}` approved something else, or until before the production")
    least = min(len({by[of] for by in said.approvals}) for of in ("approver", "role", "public_key"))
    good = len({act.id for act in acts}) == 1 < least == len(acts)
    must(good, "it takes two who approve one request, with different names, roles and keys")
    return selection, said.approvals


def same(one: dict, other: dict, *but: str) -> bool:
    """Says whether two documents say the same but for these members."""
    one, other = ({name: of for name, of in document.items() if name not in but} for document in (one, other))
    return PLAIN.encode(one) == PLAIN.encode(other)


class Desk:
    """Holds what the desk of a whole log did against what was approved (the directive desk)."""

    def __init__(self) -> None:
        self.needs, self.withheld, self.approvers = 0, False, {}
        self.filed, self.given, self.glass = {}, {}, {}  # documents, approvals, what is to come back, by version
        self.before, self.in_force = {}, {}  # documents by version (kind, id, number); none where they are withheld

    @check("desk")
    def take(self, one: Shown) -> None:
        """Takes the next entry."""
        code, document, is_admin = one.entry.get(CODE, ""), one.fields.get(1), one.kind == ADMIN
        if one.kind == IN_FORCE:
            self.takes_force(one, document)
        elif is_admin and code == "custody.export" and document is not None:
            for by in custody(one)[1]:
                self.knows(by)
        elif code.startswith(DESK) and (is_admin or one.kind == REGISTRY and code.endswith(".file")):
            self.withheld = self.withheld or document is None and PRIVATE in one.entry
            said = {} if document is None else parse(document, dict)
            must(deep(said) < 128, "arrays and objects stand too deep in one another")
            if code == "desk.policy" and document is not None:
                self.needs = some(said, {"approvals": int}).approvals
            elif "change" in said:
                self.change(*shaped(said, ENVELOPE).change.values())

    def change(self, record: str, body: dict) -> None:
        """Takes a change: what was filed, who may approve, an approval, a break of the glass."""
        if record in KINDS:
            of = some(body, {"id": str, "version": int})
            self.filed[record, of.id, of.version] = body
        elif record == "production":
            self.filed[record, some(body, {"id": str}).id, 1] = body.get("selection")
        elif record == "approval":
            by = shaped({"at": None, **body}, {"at": (None, str), **APPROVAL})
            act = approved(by)
            version = (act.kind, act.id, act.version)
            good = version in self.filed and sha(canonical(self.filed[version])) == act.document_sha256
            must(good, f"`{by.approver}` approved what was not filed")
            self.knows(by)
            self.given.setdefault(version, []).append((act, by, self.filed[version]))
        elif record == "approver":
            who = some(body, APPROVER)
            self.approvers[who.id] = (who.role, who.public_key) if who.revoked_at is None else None
        elif record == "break_glass":
            of = some(body, GLASS)
            self.glass.pop((of.kind, of.id, of.version), None)
            self.glass.update({(of.kind, of.id, of.version): of.restore} if of.ended is None else {})

    def knows(self, by: Members) -> None:
        """Requires that who signed an approval may approve, in this role and with this key."""
        good = self.withheld or self.approvers.get(by.approver) == (by.role, by.public_key)
        must(good, f"`{by.approver}` is no approver of the log, in this role and with this key")

    def takes_force(self, one: Shown, document) -> None:
        """Holds a snapshot against the one before: what it changes was approved, or goes with what was."""
        self.before, self.in_force = self.in_force, None
        if document is None:
            return
        said, (kind, _, verb) = parse(document, dict), one.entry.get(CODE, "").partition(".")
        self.in_force = {(of, item["id"], item["version"]): item for of in KINDS for item in said[of + "s"]}
        for version, item in self.in_force.items():
            self.filed.setdefault(version, item)
        self.before = self.in_force if self.before is None else self.before
        new, gone = ({of: item for of, item in these.items() if others.get(of) != item} for these, others in (
            (self.in_force, self.before), (self.before, self.in_force)))
        if kind not in KINDS or verb not in VERBS:
            must(not new and not gone, f"entry {one.index} changes a document and is no act")
        elif self.needs and not self.withheld:
            approved = {of for of in new if of[0] == kind and self.is_approved(of, verb, one.time)}
            odd = [of for of in gone if not self.speaks_after(self.in_force, of, one.time + GRACE)]
            must(not odd, f"entry {one.index} takes {odd} away, and no later version governs")
            odd = [of for of in new.keys() - approved if of[0] != kind or not (
                self.is_by_glass(of, gone, verb, one.time) or any(self.is_ended(of, by) for by in approved))]
            must(not odd, f"entry {one.index} puts {odd} in force, which {self.needs} had to approve and did not")

    def speaks_after(self, documents: dict, of: tuple, at: int) -> bool:
        """Says whether there is a higher version that spoke by then."""
        return any(by[:2] == of[:2] and by > of and moment(one["status_since"]) <= at for by, one in documents.items())

    def is_approved(self, of: tuple, verb: str, at: int) -> bool:
        """Says whether enough people in as many roles signed this act, for then."""
        given = [by for act, by, filed in self.given.get(of, []) if act.act == verb and same(filed, self.in_force[of])
                 and at < act.valid_until + GRACE and self.approvers.get(by.approver) == (by.role, by.public_key)]
        return verb != "restore" and min(len({by[at] for by in given}) for at in ("approver", "role")) >= self.needs

    def is_by_glass(self, of: tuple, gone: dict, verb: str, at: int) -> bool:
        """Says whether the glass is broken for it, it comes back at the limit of that, or waits on behind it."""
        one, is_back = self.in_force[of], verb == "restore"
        opened = {by: held for by, held in self.glass.items() if by[:2] == of[:2] and not (is_back and held is None)}
        waited = [old for old, held in gone.items() if old[:2] == of[:2] and same(one, held, "version")
                  and not self.speaks_after(self.before, old, at - GRACE)]
        back = [held for held in opened.values() if is_back and same(one, held, "version", "status_since")]
        return bool(opened and (waited or back) or not is_back and of in opened)

    def is_ended(self, of: tuple, by: tuple) -> bool:
        """Says whether it is a document of before, superseded by another from when that begins."""
        one, other = self.in_force[of], self.in_force[by]
        good = (other.get("supersedes"), other["status"], one["status"]) == (of[1], "in_force", "superseded")
        begins = moment(other["valid"]["from"] if by[0] == "license" else other["effective_at"])
        begins = max(begins + 60_000 * other.get("grace_minutes", 0), moment(other["status_since"]))
        mine = [held for old, held in self.before.items() if old[:2] == of[:2]]
        good = good and moment(one["status_since"]) == begins
        return good and any(same(one, held, "version", "status", "status_since") for held in mine)


def table(calls: list, log: Log) -> bytes:
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


@check("heads")
def chains(data: bytes, shown: dict, want: Members) -> tuple:
    """Checks that both chains are there, around the time selected (10); returns that selected, and the snapshots."""
    chain, force = (span(one, shown) for one in parse(data, {"chain": SPAN, "in_force": SPAN}).values())
    must((chain.first, chain.last) == (force.first, force.last), "the chains are not between the same heads entries")
    must((chain.key[:1], force.key) == (CLASSES[want["class"]], b"\5" + bytes(16)), "the chains are of other classes")
    around = (force.first < 0 or shown[force.first].time < want["from"]) and want.to <= shown[force.last].time
    must(around, "the heads entries do not lie around the time selected", "selection")
    before, snapshots = shown.get(force.start[1], shown[force.last]), force.entries
    if force.start[0]:
        snapshots.append(before)
        good = before.chains.get(force.key, (-1,))[0] == force.start[0] - 1
        must(good, f"the snapshot in force at the start, entry {force.start[1]}, is not shown", "complete")
    must(all(one.fields.get(1) is not None for one in snapshots), "a document in force is withheld", "snapshot")
    return chain, snapshots


@check("sums")
def sums(data: bytes, log: Log, mine: list, asked) -> list:
    """Checks the sums of the hours of selected entries (9, 10); returns the statements."""
    found, indices = {}, {one.index for one in mine}
    for item in parse(data, [{"entry": int, "completed": PROOF, "early": PROOF}]):
        said = statement(log.shown[item.entry], asked)
        closes = [one for one in log.hours.get(said.hour, []) if one.index in indices]
        must(closes and said.hour not in found, f"entry {said.at} is about no call shown, or not the only one")
        must(all(before.at < said.at for before in found.values()), "the sums are out of order")
        add_up(said.at, said.trees, log, closes, (item.completed, item.early))
        found[said.hour] = said
    return list(found.values())


@check("names")
def names(data: bytes, chain: Members, mine: list, name: str) -> None:
    """Checks the openings of pseudonyms (2): the selection's, and of no chain but those of selected entries."""
    known, named = {chain.key}.union(*(one.chains for one in mine)), set()
    for one in parse(data, [{"class": CLASSES.__getitem__, "name": str, "opening": partial(unhex, size=16)}]):
        key = one["class"] + sha(b"exeat/pseudonym/v2", one.opening, one.name.encode())[:16]
        must(key in known, f"`{one.name}` is not the name of anything that was selected")
        named.add((key, one.name))
    must((chain.key, name) in named, "the chain is not that of the name selected")


@check("engine")
def engines(value: list, shown: dict, chain: Members) -> list:
    """Checks the start entries of the processes that wrote the record (10); returns them and the program's releases."""
    said = shaped(value, [{"start": int, "version": str}])
    at, first = [one.start for one in said], [chain.first] if chain.first >= 0 else [one.index for one in chain.entries]
    good = at and at == sorted(set(at)) and at[0] < min([*first, chain.last]) and at[-1] < chain.last
    must(good, "are not those of before and between the heads")
    for one in said:
        good = (shown[one.start].kind, shown[one.start].entry[CODE]) == (START, one.version)
        must(good, f"entry {one.start} is not the start of `{one.version}`")
    return said


def production(asked) -> dict:
    """Checks a production (10)."""
    with check("manifest"):
        paths = [*asked.path.iterdir()]
        for folder in (path for path in paths if path.name == "timestamps" and stat.S_ISDIR(path.lstat().st_mode)):
            paths = [path for path in paths if path != folder] + [*folder.iterdir()]
        files = {path.relative_to(asked.path).as_posix(): read(path) for path in paths}
        must(FILES <= files.keys(), f"of the files one is missing: {FILES - files.keys()}")
    said, note = manifest(files, asked.log), Checkpoint(files["checkpoint"], asked.log)
    must((said.origin, said.size) == (note.origin, note.size), "has not the log or size of the checkpoint", "manifest")
    must(files["log.vkey"] == asked.key.encode() + b"\n", "`log.vkey` is not the pinned key", "manifest")
    witnesses = meets(note, asked.policy.read_bytes() if asked.policy else files["policy"], asked.log)
    stamps = [name for name in files if name.startswith("timestamps/")]
    for name in stamps:
        good = name.endswith(".tsr") and b"\4\x20" + sha(files["checkpoint"]) in files[name]
        must(good, f"`{name}` is not about the checkpoint", "timestamp")
    want, shown = selected(said.selection), tree(files["entries"], note, files["hashes"])
    chain, snapshots = chains(files["heads.json"], shown, want)
    log, may = Log(shown, chain), set().union(*(DISCLOSE[one] for one in want.disclose))
    for one in shown.values():
        log.see(one)
    opened = [one if one.kind in (OPEN, REFUSAL) else log.opens.get(one.entry.get(OPENED)) for one in chain.entries]
    mine = [one for one, of in zip(chain.entries, opened) if of and of.index > chain.first
            and want["from"] <= of.time < want.to and want.model in (None, of.entry[MODEL])]
    facts = {one.entry[FACTS_AT] for one in mine if 1 in may and FACTS_AT in one.entry}
    must(facts <= shown.keys(), f"entries with the facts of others are not shown: {facts - shown.keys()}", "facts")
    statements = sums(files["sums.json"], log, mine, asked)
    names(files["names.json"], chain, mine, want.name)
    recorded, who = custody(shown.get(said.custody))
    must(recorded == want, "the log has another selection than the manifest", "custody")
    for by in who:
        good = not asked.approver or f"{by.approver}={by.public_key}" in asked.approver
        must(good, f"`{by.approver}` is not one of the approvers, or has another key", "custody")
    starts = engines(said.engine, shown, chain)
    ends = (chain.first, chain.last, *(one.start for one in starts), *(one.index for one in chain.entries))
    reasons = {at: set() for at in ends}
    reasons.update({one.index: may for one in mine})  # for each entry that may be shown, which of its fields
    for at in {said.custody, *facts, *(one.index for one in snapshots), *(one.at for one in statements)}:
        reasons[at] = reasons.get(at, set()) | {1}
    for at, one in shown.items():
        good = {name for name, value in one.fields.items() if value is not None} <= reasons.get(at, {0})
        must(good and at in reasons, f"entry {at} shows more than was selected", "disclosure")
    withheld = {one.index for one in mine if may and one.lacks(may)} | {
        at for at in facts if shown[at].fields.get(1) is None}
    must(asked.allow_withheld or not withheld, f"of {len(withheld)} entries something is withheld", "withheld")
    calls = [one for one in mine if one.kind in (OPEN, REFUSAL)]
    must(files["calls.csv"] == table(calls, log), "`calls.csv` is not what the entries say", "table")
    closes = [one for one in mine if one.kind == CLOSE]
    totals = [sum(one.entry.get(USAGE, {}).get(of, 0) for one in closes) for of in (0, 1, 2)]
    return {"origin": note.origin, "entries": len(shown), "calls": len(calls),
            "open": sum(one.kind == OPEN and one.index not in log.closes for one in calls),
            **dict(zip(("input", "output", "events"), totals)), "withheld": len(withheld),
            **log.reconciled(statements, closes, asked), "engine": [one.version for one in starts],
            "approvers": [f"{by.approver} ({by.role}) {by.public_key}" for by in who],
            "complete": f"as of heads entry {chain.last}; only who has all leaves can check its root",
            "policy": "pinned" if asked.policy else "its own, not pinned", "witnesses": witnesses,
            "decisions": "not made again", "timestamps": f"{len(stamps)}, signatures not checked"}


def answer(arguments=None) -> tuple:
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
    parser.add_argument("--allow-differences", action="append", default=[], metavar="ENTRY",
                        help="accept that gateway and meter do not agree in this entry, or in `all` (repeat)")
    parser.add_argument("--json", action="store_true", help="print the answer as JSON")
    asked = parser.parse_args(arguments)
    for one in asked.allow_differences:
        if not re.fullmatch("all|0|[1-9][0-9]{0,19}", one):
            parser.error(f"argument --allow-differences: `{one}` is not the index of a reconciliation entry, nor `all`")
    try:
        given = [Path(one).read_text().strip() if Path(one).is_file() else one for one in (asked.key, *asked.meter)]
        asked.key, *asked.meter = given
        with check(asked.command):
            asked.log = check("key")(verifier_key)(asked.key)
            report = {"bundle": bundle, "production": production, "receipt": receipt}[asked.command](asked)
        return 0, asked.json, {**report, "holds": True}
    except Wrong as wrong:
        return 1, asked.json, {"check": wrong.args[1], "error": wrong.args[0], "holds": False}
    except OSError as error:
        return 2, asked.json, {"error": str(error), "holds": False}


if __name__ == "__main__":
    status, as_json, report = answer()
    print(json.dumps(report, indent=2) if as_json else "\n".join(f"{name}: {of}" for name, of in report.items()))
    sys.exit(status)
