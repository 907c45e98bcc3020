"""False bundles and productions, by name: how each is made, and which check has to find it.

`anyone` changes files and what is not signed; `holder` has the log's key and makes everything after a change anew:
links, heads, sums, proofs and signatures, but not what a meter, a witness or an approver signed.
"""

import struct
from dataclasses import dataclass
from typing import Any, Callable, Dict, List, Tuple

from make import Log, Signer, b64, bundle_manifest, sha
from produce import Production
from story import Story, told

Files = Dict[str, bytes]
ACCEPTED = ""


@dataclass(frozen=True)
class Mutant:
    """A bundle or production that is false, or true in spite of its looks if no check has to find it."""

    name: str
    command: str
    by: str
    check: str
    make: Callable[[], Tuple[Files, str]]
    options: Tuple[str, ...] = ()


class Link(bytes):
    """A file that is put elsewhere, with a symbolic link in its place."""


class Pipe(bytes):
    """What is no file but a pipe, out of which nothing ever comes."""


MUTANTS: List[Mutant] = []
KEY = Signer("log.example.com/exeat/1")


def _add(name: str, command: str, by: str, check: str, make: Callable[[], Tuple[Files, str]], options: Any) -> None:
    assert name not in [mutant.name for mutant in MUTANTS], name
    MUTANTS.append(Mutant(name, command, by, check, make, tuple(options)))


_true: Dict[str, Files] = {}


def true_files(command: str) -> Files:
    """Returns the files of the true bundle or production."""
    if not _true:
        story = told()
        log = story.log()
        _true["bundle"] = log.bundle()
        _true["production"] = production_of(story, log).files()
    return dict(_true[command])


def production_of(story: Story, log: Log, selection: Any = None) -> Production:
    named = story.named
    return Production(log, named["first"], named["second"], named["custody"], selection)


def anyone(check: str, command: str = "bundle", manifest_too: bool = True, by: str = "anyone") -> Callable[..., Any]:
    """Adds a mutant whose files are changed; the manifest of a whole log is made to fit again, for nobody signs it."""
    def put(change: Callable[[Files], Any]) -> None:
        def make() -> Tuple[Files, str]:
            files = true_files(command)
            vkey = change(files) or KEY.vkey()
            if command == "bundle" and manifest_too and {"checkpoint", "log.vkey", "entries"} <= set(files):
                size = int(files["checkpoint"].split(b"\n")[1])
                files["manifest.json"] = bundle_manifest(KEY.name, size, files)
            return files, vkey

        _add(change.__name__, command, by, check, make, ())
    return put


def holder(check: str, command: str = "bundle", options: Any = ()) -> Callable[..., Any]:
    """Adds a mutant of the story: its drafts are changed, and everything is made and signed from these."""
    def put(change: Callable[[Story], Any]) -> None:
        def make() -> Tuple[Files, str]:
            story = told()
            change(story)
            log = story.log()
            files = log.bundle(story.withheld) if command == "bundle" else production_of(story, log).files()
            return files, log.key.vkey()

        _add(change.__name__, command, "holder", check, make, options)
    return put


def producer(check: str, selection: Any = None, options: Any = (), as_if: Any = None) -> Callable[..., Any]:
    """Adds a mutant of a production of the true log, signed with the log's key; made as if of another selection."""
    def put(change: Callable[[Production], Any]) -> None:
        def make() -> Tuple[Files, str]:
            story = told()
            if selection is not None:
                story.drafts[story.drafts.index(story.named["custody"])] = custody = Story().custody(selection)
                custody.time, story.named["custody"] = story.named["custody"].time, custody
            made = production_of(story, story.log(), as_if or selection)
            made.selection = selection or made.selection
            files = change(made)
            return files if isinstance(files, dict) else made.files(), KEY.vkey()

        _add(change.__name__, "production", "holder", check, make, options)
    return put


def flipped(data: bytes, at: int, bit: int = 1) -> bytes:
    at %= len(data)
    return data[:at] + bytes([data[at] ^ bit]) + data[at + 1:]


def pieces(data: bytes) -> List[bytes]:
    """Cuts `entries` into its head and what belongs to each entry."""
    at, found = 16, [data[:16]]
    while at < len(data):
        start = at
        at += 10 + struct.unpack(">H", data[at + 8:at + 10])[0]
        at += 1
        for _ in range(data[at - 1]):
            at += 34 if not data[at + 1] else 22 + struct.unpack(">I", data[at + 18:at + 22])[0]
        found.append(data[start:at])
    return found


def piece(files: Files, index: int, change: Callable[[bytes], bytes]) -> None:
    """Changes what belongs to one entry of a whole log."""
    of = pieces(files["entries"])
    of[index + 1] = change(of[index + 1])
    files["entries"] = b"".join(of)


def leaf_of(data: bytes) -> Tuple[int, int]:
    """Returns where the entry lies in what belongs to it."""
    return 10, 10 + struct.unpack(">H", data[8:10])[0]


# Whole logs, by anyone.

@anyone(ACCEPTED)
def a_true_log(files: Files) -> None:
    pass


@anyone("manifest", manifest_too=False)
def a_byte_of_the_manifest_is_flipped(files: Files) -> None:
    files["manifest.json"] = flipped(files["manifest.json"], 100)


@anyone("manifest", manifest_too=False)
def the_manifest_is_spelled_otherwise(files: Files) -> None:
    files["manifest.json"] = files["manifest.json"].replace(b'"first": 0', b'"first":  0')


@anyone("manifest", manifest_too=False)
def the_manifest_has_another_member(files: Files) -> None:
    files["manifest.json"] = files["manifest.json"].replace(b'  "first": 0,\n', b'  "first": 0,\n  "note": 0,\n')


@anyone("manifest", manifest_too=False)
def an_entry_is_changed_and_the_manifest_is_not(files: Files) -> None:
    files["entries"] = flipped(files["entries"], -1)


@anyone("read", manifest_too=False)
def the_entries_are_not_there(files: Files) -> None:
    del files["entries"]


@anyone("checkpoint")
def another_key_is_pinned(files: Files) -> str:
    return Signer("log.example.com/exeat/2").vkey()


@anyone("manifest")
def another_key_lies_beside_the_log(files: Files) -> None:
    files["log.vkey"] = Signer("log.example.com/exeat/2").vkey().encode() + b"\n"


@anyone("checkpoint")
def a_letter_of_the_origin_is_changed(files: Files) -> None:
    files["checkpoint"] = files["checkpoint"].replace(b"log.example.com", b"lug.example.com", 1)


@anyone("checkpoint")
def the_size_of_the_checkpoint_is_changed(files: Files) -> None:
    files["checkpoint"] = files["checkpoint"].replace(b"\n40\n", b"\n39\n", 1)


@anyone("checkpoint")
def the_root_of_the_checkpoint_is_changed(files: Files) -> None:
    lines = files["checkpoint"].split(b"\n")
    lines[2] = b64(sha(b"another root")).encode()
    files["checkpoint"] = b"\n".join(lines)


@anyone("checkpoint")
def the_signature_of_the_checkpoint_is_changed(files: Files) -> None:
    lines = files["checkpoint"].split(b"\n")
    lines[4] = lines[4][:-8] + (b"A" if lines[4][-8:-7] != b"A" else b"B") + lines[4][-7:]
    files["checkpoint"] = b"\n".join(lines)


@anyone("checkpoint")
def the_log_did_not_sign_the_checkpoint(files: Files) -> None:
    lines = files["checkpoint"].split(b"\n")
    files["checkpoint"] = b"\n".join(lines[:4] + lines[5:])


@anyone("checkpoint")
def the_checkpoint_has_a_fourth_line(files: Files) -> None:
    files["checkpoint"] = files["checkpoint"].replace(b"\n\n", b"\nmore\n\n", 1)


@anyone("checkpoint", by="holder")
def the_log_signed_a_checkpoint_with_an_extension(files: Files) -> None:
    files["checkpoint"] = with_extension(files["checkpoint"])


def with_extension(checkpoint: bytes) -> bytes:
    """Returns the checkpoint with a fourth line, signed by the log's key."""
    text = checkpoint.split(b"\n\n")[0] + b"\nmore\n"
    return text + b"\n" + KEY.line(text).encode()


def linked(command: str, file: str) -> None:
    def link(files: Files) -> None:
        files[file] = Link(files[file])

    link.__name__ = f"a_link_stands_in_the_place_of_{file.replace('.', '_').replace('/', '_')}_of_a_{command}"
    anyone("manifest", command)(link)


@anyone("manifest")
def a_pipe_stands_in_the_place_of_the_entries(files: Files) -> None:
    files["entries"] = Pipe(files["entries"])


@anyone("manifest", "production")
def a_pipe_stands_in_the_place_of_the_report(files: Files) -> None:
    files["report.html"] = Pipe(files["report.html"])


@anyone("manifest", "production")
def a_folder_stands_in_the_place_of_the_report(files: Files) -> None:
    files["report.html/report.html"] = files.pop("report.html")


linked("bundle", "checkpoint")
linked("bundle", "entries")
linked("production", "report.html")
linked("production", "timestamps/tsa.tsr")


@anyone("checkpoint")
def the_checkpoint_ends_without_a_newline(files: Files) -> None:
    files["checkpoint"] = files["checkpoint"][:-1]


@anyone(ACCEPTED)
def a_line_of_an_unknown_witness_is_no_harm(files: Files) -> None:
    files["checkpoint"] += f"\u2014 forger.example {b64(bytes(76))}\n".encode()


@anyone("tree")
def an_older_checkpoint_is_replayed(files: Files) -> None:
    files["checkpoint"] = told().log().checkpoint(30)


@anyone("tree")
def the_checkpoint_is_that_of_another_view(files: Files) -> None:
    story = told()
    story.named["refusal"].body[10] = "another_view"
    files["checkpoint"] = story.log().checkpoint()


@anyone("tree")
def the_last_entry_is_dropped(files: Files) -> None:
    files["entries"] = b"".join(pieces(files["entries"])[:-1])


@anyone("tree")
def an_entry_is_dropped(files: Files) -> None:
    of = pieces(files["entries"])
    files["entries"] = b"".join(of[:10] + of[11:])


@anyone("entries")
def an_entry_stands_twice(files: Files) -> None:
    of = pieces(files["entries"])
    files["entries"] = b"".join(of[:10] + of[9:])


@anyone("entries")
def two_entries_stand_in_another_order(files: Files) -> None:
    of = pieces(files["entries"])
    of[9], of[10] = of[10], of[9]
    files["entries"] = b"".join(of)


@anyone("tree")
def two_entries_are_swapped_and_renumbered(files: Files) -> None:
    of = pieces(files["entries"])
    of[9], of[10] = of[9][:8] + of[10][8:], of[10][:8] + of[9][8:]
    files["entries"] = b"".join(of)


@anyone("tree")
def a_token_count_is_changed(files: Files) -> None:
    # The input tokens of the first close, 100, become 99.
    piece(files, 6, lambda data: data.replace(b"\x0b\xa4\x00\x18\x64", b"\x0b\xa4\x00\x18\x63", 1))


@anyone("entry")
def a_type_in_an_entry_is_flipped(files: Files) -> None:
    piece(files, 8, lambda data: flipped(data, 11, 0x40))


@anyone("entries")
def the_entries_end_within_an_entry(files: Files) -> None:
    files["entries"] = files["entries"][:-5]


@anyone("entries")
def there_is_something_after_the_last_entry(files: Files) -> None:
    files["entries"] += b"\0"


@anyone("entries")
def the_entries_are_of_another_version(files: Files) -> None:
    files["entries"] = b"exeat-entries/v1" + files["entries"][16:]


@anyone("commitment")
def a_value_is_changed(files: Files) -> None:
    piece(files, 5, lambda data: data.replace(b'"acme"', b'"acne"', 1))


@anyone("commitment")
def a_salt_is_changed(files: Files) -> None:
    piece(files, 5, lambda data: flipped(data, leaf_of(data)[1] + 4))


@anyone("entries")
def a_field_stands_under_another_id(files: Files) -> None:
    piece(files, 2, lambda data: data[:leaf_of(data)[1] + 1] + b"\2" + data[leaf_of(data)[1] + 2:])


@anyone("commitment")
def a_field_is_left_out(files: Files) -> None:
    def without_last(data: bytes) -> bytes:
        at = leaf_of(data)[1]
        size = 23 + struct.unpack(">I", data[at + 19:at + 23])[0]
        return data[:at] + b"\1" + data[at + 1:at + size]

    piece(files, 5, without_last)


@anyone("commitment")
def the_private_part_of_another_entry_is_shown(files: Files) -> None:
    of = pieces(files["entries"])
    one, other = of[3], of[4]
    of[3] = one[:leaf_of(one)[1]] + other[leaf_of(other)[1]:]
    files["entries"] = b"".join(of)
