"""Two verifiers, one in Rust and one in Python, before everything that can be wrong with a bundle or a production."""

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import mutate_asked  # noqa: F401  mutants add themselves, and so do those that it imports
import mutate_desk  # noqa: F401
import mutate_facts  # noqa: F401
import mutate_refers  # noqa: F401
import mutate_sums  # noqa: F401
import verify
from make import Signer, b64url, root, sha
from mutate import ACCEPTED, MUTANTS, Link, Mutant, Pipe
from receipts import receipt_of
from story import APPROVERS, METER, told

VERIFY = Path(verify.__file__)
RUST = os.environ.get("EXEAT_VERIFY", "")


def written(folder, files):
    for name, data in files.items():
        path = folder / "files" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(data, Link):
            elsewhere = folder / path.name
            path.symlink_to(elsewhere)
            path = elsewhere
        if isinstance(data, Pipe):
            os.mkfifo(path)
        else:
            path.write_bytes(data)
    return folder / "files"


def in_python(command, folder, vkey, *options):
    """Returns which check refused it, if one did, and what it said."""
    status, _, report = verify.answer([command, str(folder), "--key", vkey, *options])
    return ((ACCEPTED, report), (report.get("check"), report.get("error")), ("read", report.get("error")))[status]


def in_rust(command, folder, vkey, *options):
    """Returns how it ended (0 if it was accepted, 1 if not, 2 if it could not be read), and what was said."""
    arguments = [RUST, command, str(folder), "--key", vkey, *options]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def commands():
    """The commands that the verifier in Rust has."""
    told_of = subprocess.run([RUST, "--help"], capture_output=True, text=True, check=True).stdout
    return {command for command in ("bundle", "production") if f"exeat-verify {command} " in told_of}


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: f"{mutant.command}-{mutant.by}-{mutant.name}")
def test_both_verifiers_find_what_is_wrong_and_accept_what_is_not(mutant: Mutant, tmp_path, commands):
    files, vkey = mutant.make()
    folder = written(tmp_path, files)
    check, said = in_python(mutant.command, folder, vkey, *mutant.options)
    assert check == mutant.check, said
    assert mutant.command in commands
    ended, rust = in_rust(mutant.command, folder, vkey, *mutant.options)
    assert ended == {ACCEPTED: 0, "read": 2}.get(check, 1), f"Python: {said}\nRust: {rust}"


def test_of_each_kind_there_are_more_than_thirty_classes_for_a_holder_and_fifteen_for_anyone():
    for command in ("bundle", "production"):
        for by, least in (("holder", 30), ("anyone", 15)):
            assert len([m for m in MUTANTS if (m.command, m.by) == (command, by) and m.check]) > least, (command, by)


@pytest.mark.parametrize("command", ["bundle", "production"])
def test_every_file_in_which_any_byte_is_changed_is_refused(command, tmp_path):
    true = next(m for m in MUTANTS if m.command == command and m.check == ACCEPTED)
    files, vkey = true.make()
    for name, data in sorted(files.items()):
        for at in range(0, len(data), max(1, len(data) // 12)):
            folder = written(tmp_path, {**files, name: data[:at] + bytes([data[at] ^ 4]) + data[at + 1:]})
            check, said = in_python(command, folder, vkey)
            assert check != ACCEPTED, (name, at, said)


def run(*arguments):
    return subprocess.run([sys.executable, "-B", str(VERIFY), *map(str, arguments)], capture_output=True, text=True)


def test_the_command_says_what_was_checked_and_how_it_ended(tmp_path):
    files, vkey = MUTANTS[0].make()
    folder = written(tmp_path, files)
    done = run("bundle", folder, "--key", vkey, "--json")
    assert done.returncode == 0, done.stderr
    meter = Signer(METER).vkey()
    assert json.loads(done.stdout) == {"origin": "log.example.com/exeat/1", "entries": 40, "calls": 11, "open": 0,
                                       "chains": 11, "withheld": 0, "meters": [f"{meter} (not pinned)"],
                                       "hours_that_differ": 0, "not_reconciled": 1, "decisions": "not made again",
                                       "holds": True}
    (folder / "entries").write_bytes(files["entries"] + b"\0")
    done = run("bundle", folder, "--key", vkey)
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout == "check: manifest\nerror: is not that of these files in its one layout\nholds: False\n"
    done = run("bundle", folder / "nowhere", "--key", vkey)
    assert done.returncode == 2 and "nowhere" in done.stdout


def test_the_command_checks_a_production_with_the_policy_that_it_is_given(tmp_path):
    files, vkey = next(m for m in MUTANTS if m.name == "a_true_production").make()
    folder = written(tmp_path / "production", files)
    (tmp_path / "key").write_text(vkey + "\n")
    done = run("production", folder, "--key", tmp_path / "key", "--json")
    report = json.loads(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    approvers = [f"{name} ({role}) {b64url(Signer(name).public)}" for name, role in APPROVERS.items()]
    assert (report["calls"], report["output"], report["approvers"]) == (7, 1585, approvers)
    assert (report["engine"], report["policy"]) == (["0.1.0", "0.1.0"], "its own, not pinned")
    assert report["witnesses"] == ["witness.example.com/a", "witness.example.org/b"]
    assert report["complete"].startswith("as of heads entry 35;")
    stranger = Signer("witness.example.net/c").vkey(4)
    (tmp_path / "policy").write_text(f"log {vkey}\nwitness c {stranger}\nquorum c\n")
    done = run("production", folder, "--key", vkey, "--policy", tmp_path / "policy")
    assert done.returncode == 1 and "policy" in done.stdout


@pytest.fixture(scope="module")
def log():
    return told().log()


def receipt_arguments(folder, log):
    return ["receipt", str(folder / "receipt"), "--leaf", str(folder / "leaf"), "--key", log.key.vkey()]


def test_every_entry_has_a_receipt_that_both_verifiers_accept(log, tmp_path):
    for draft in log.drafts[::5]:
        (tmp_path / "receipt").write_text(receipt_of(log, draft.index))
        (tmp_path / "leaf").write_bytes(draft.leaf)
        report = verify.answer(receipt_arguments(tmp_path, log))[2]
        assert report == {"origin": log.key.name, "entries": 40, "index": draft.index, "holds": True}
        done = subprocess.run([RUST, *receipt_arguments(tmp_path, log)], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


# What nobody signs and no note has, below what the log signed.
UNSIGNED = {"plus": ["\u2014 a+b AAAAAAA="], "tab": ["\u2014 a\tb AAAAAAA="], "space": ["\u2014 a\u00a0b AAAAAAA="],
            "control": ["\u2014 a\u0085b AAAAAAA="], "signature": ["\u2014 ab AAAA"], "many": ["\u2014 ab AAAAAAA="] * 64}


@pytest.mark.parametrize("change", ["index", "hash", "long", "short", "leaf", "checkpoint", "text", "extra", "padding", "blank",
                                    *UNSIGNED])
def test_a_receipt_that_was_changed_is_refused_by_both_verifiers(log, change, tmp_path):
    lines, leaf = receipt_of(log, 9).split("\n"), log.drafts[9].leaf
    if change == "index":
        lines[1] = "index 8"
    elif change == "hash":
        lines[3] = lines[2]
    elif change == "long":
        lines.insert(2, lines[2])
    elif change == "short":
        del lines[2]
    elif change == "leaf":
        leaf = log.drafts[8].leaf
    elif change == "checkpoint":
        lines[-5] = "39"
    elif change == "text":
        lines[0] = "c2sp.org/tlog-proof@v2"
    elif change == "extra":
        lines.insert(1, "extra no base64")
    elif change == "padding":
        lines.insert(1, "extra bW9yZQ")
    elif change == "blank":
        lines.insert(2, " " * 44)
    elif change in UNSIGNED:
        lines[-1:] = [*UNSIGNED[change], ""]
    (tmp_path / "receipt").write_text("\n".join(lines))
    (tmp_path / "leaf").write_bytes(leaf)
    assert verify.answer(receipt_arguments(tmp_path, log))[0] == 1
    done = subprocess.run([RUST, *receipt_arguments(tmp_path, log)], capture_output=True, text=True)
    assert done.returncode == 1, done.stdout + done.stderr


# RFC 8032 section 7.1, tests 1 to 3.
ED25519 = [
    ("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
     "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe246"
     "55141438e7a100b"),
    ("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb"
     "00d291612bb0c00"),
    ("fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
     "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc"
     "027beceea1ec40a"),
]


@pytest.mark.parametrize("public,message,signature", ED25519)
def test_signatures_are_those_of_the_rfc(public, message, signature):
    public, message, signature = map(bytes.fromhex, (public, message, signature))
    assert verify.signed(public, message, signature)
    assert not verify.signed(public, message + b"\0", signature)
    more = int.from_bytes(signature[32:], "little") + verify.ORDER
    assert not verify.signed(public, message, signature[:32] + more.to_bytes(32, "little"))
    assert not verify.signed(bytes([1]) + bytes(31), message, signature)


def test_the_public_signed_note_of_the_specification_verifies():
    # C2SP tlog-checkpoint, its example; the key is that of the Go module `golang.org/x/mod/sumdb/note`'s documentation.
    key = verify.verifier_key("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")
    text = b"If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
    line = "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="
    assert verify.signed(key.public, text, verify.unbase64(line)[4:])


def test_a_log_of_every_size_has_the_root_of_the_definition():
    for size in range(1, 70):
        hashes = [sha(bytes([0, at])) for at in range(size)]
        assert verify.fold(size, dict(enumerate(hashes)), [], verify.node) == root(hashes)


def test_the_example_of_the_page_is_an_entry():
    entry = verify.Shown(24, bytes.fromhex("a600020104021903e8041709020ba3011901000200 0300".replace(" ", "")))
    assert (entry.kind, entry.time, entry.entry[verify.OPENED]) == (verify.CLOSE, 1000, 23)
    assert entry.entry[verify.USAGE] == {1: 256, 2: 0, 3: 0}


def test_the_verifier_is_as_short_as_it_says():
    programs = {path.name: path.read_text().splitlines() for path in VERIFY.parent.rglob("*.py")}
    said = re.search(r"asks takes ([0-9,]+), of which", (VERIFY.parent / "README.md").read_text())
    assert said and sum(map(len, programs.values())) == int(said[1].replace(",", "")), "see `Its length` there"
    assert all(len(line) <= 120 for lines in programs.values() for line in lines)
    assert set(programs) == {"verify.py"}


def test_no_statement_shares_its_line_with_another_and_every_function_says_what_it_does():
    tree = ast.parse(VERIFY.read_text())
    lines = [node.lineno for node in ast.walk(tree) if isinstance(node, ast.stmt)]
    assert len(lines) == len(set(lines))
    inner = {"__init__", "members", "number", "root", "take"}
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            assert ast.get_docstring(node) or node.name in inner, node.name
