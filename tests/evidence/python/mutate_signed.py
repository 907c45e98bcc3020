"""Productions whose signatures, policy, manifest or approvals are false, by name; see `mutate`."""

import base64
import json
from typing import Any, Callable, Dict, List

from make import Signer, b64, dumps, sha
from mutate import ACCEPTED, KEY, Files, holder, producer
from mutate_log import named
from mutate_production import resigned
from produce import Production
from story import SELECTION, Story, approval

SECOND = b"witness.example.org/b"


@producer("policy")
def a_cosignature_is_missing(made: Production) -> Files:
    return resigned(made, checkpoint=without(SECOND), stamp=lambda _: stamp_of(made, SECOND))


def without(witness: bytes) -> Callable[[bytes], bytes]:
    return lambda data: b"\n".join(line for line in data.split(b"\n") if witness not in line)


def stamp(checkpoint: bytes) -> bytes:
    """Returns as much of a time stamp as is checked: the digest of the checkpoint, as an octet string."""
    return b"\x30\x22\4\x20" + sha(checkpoint)


def stamp_of(made: Production, witness: bytes) -> bytes:
    return stamp(without(witness)(made.log.checkpoint()))


@producer("policy")
def a_cosignature_is_forged(made: Production) -> Files:
    text = made.log.checkpoint().split(b"\n\n")[0] + b"\n"
    forger = Signer("forger")
    forger.name, forger.id = made.log.witnesses[1].name, made.log.witnesses[1].id  # type: ignore[method-assign]
    line = forger.cosign(text, 1_780_000_000).encode()
    checkpoint = without(SECOND)(made.log.checkpoint()) + line
    return resigned(made, checkpoint=lambda _: checkpoint, stamp=lambda _: b"\4\x20" + sha(checkpoint))


@producer("policy")
def a_cosignature_is_that_of_another_checkpoint(made: Production) -> Files:
    theirs = made.log.checkpoint(30).split(b"\n\n")[1]
    mine = made.log.checkpoint()
    checkpoint = mine.split(b"\n\n")[0] + b"\n\n" + mine.split(b"\n\n")[1].split(b"\n")[0] + b"\n" + b"\n".join(
        theirs.split(b"\n")[1:])
    return resigned(made, checkpoint=lambda _: checkpoint, stamp=lambda _: b"\4\x20" + sha(checkpoint))


@producer("policy")
def the_policy_does_not_name_the_log(made: Production) -> Files:
    other = Signer("log.example.com/exeat/2").vkey().encode()
    return resigned(made, policy=lambda data: data.replace(KEY.vkey().encode(), other))


@producer("policy")
def the_policy_has_no_quorum(made: Production) -> Files:
    return resigned(made, policy=lambda data: data.replace(b"quorum both\n", b""))


@producer("policy")
def the_policy_has_two_quorums(made: Production) -> Files:
    return resigned(made, policy=lambda data: data + b"quorum none\n")


@producer("policy")
def a_group_asks_for_more_than_it_has(made: Production) -> Files:
    return resigned(made, policy=lambda data: data.replace(b"both all", b"both 3"))


def spelled(name: str, old: bytes, new: bytes, check: str = "policy") -> None:
    """Adds a mutant of a policy that is spelled otherwise."""
    def mutate(made: Production) -> Files:
        return resigned(made, policy=lambda data: data.replace(old, new))

    mutate.__name__ = name
    producer(check)(mutate)


spelled("a_group_asks_for_all_it_has_in_a_digit", b"both all", b"both 2", ACCEPTED)
spelled("a_group_asks_for_a_number_with_a_sign", b"both all", b"both +2")
spelled("a_group_asks_for_a_number_with_a_needless_digit", b"both all", b"both 02")
spelled("a_group_asks_for_a_number_with_a_line_between_digits", b"both all", b"both 0_2")
spelled("a_group_asks_for_a_number_that_is_longer_than_any", b"both all", b"both " + b"9" * 1000)
spelled("the_words_of_a_policy_lie_further_apart", b"quorum both", b"\tquorum \t both ", ACCEPTED)
spelled("the_words_of_a_policy_are_parted_by_a_form_feed", b"quorum both", b"quorum\x0cboth")
spelled("the_last_line_of_a_policy_has_no_end", b"quorum both\n", b"quorum both")


@producer("policy")
def a_group_names_nobody(made: Production) -> Files:
    return resigned(made, policy=lambda data: data.replace(b"w0 w1\n", b"w0 w2\n"))


@producer("policy")
def a_line_of_the_policy_is_unknown(made: Production) -> Files:
    return resigned(made, policy=lambda data: b"lag " + data[4:])


@producer("policy")
def a_witness_of_the_policy_has_the_key_of_a_log(made: Production) -> Files:
    witness = made.log.witnesses[1]
    return resigned(made, policy=lambda data: data.replace(witness.vkey(4).encode(), witness.vkey(1).encode()).replace(
        b"both all", b"both any"))


@producer("policy")
def a_witness_of_the_policy_has_a_key_of_an_unknown_type(made: Production) -> Files:
    witness = made.log.witnesses[1]
    return resigned(made, policy=lambda data: data.replace(witness.vkey(4).encode(), witness.vkey(9).encode()).replace(
        b"both all", b"both any"))


@producer("policy")
def a_log_of_the_policy_has_the_key_of_a_witness(made: Production) -> Files:
    line = f"log {Signer('log.example.com/exeat/2').vkey(4)}\n".encode()
    return resigned(made, policy=lambda data: line + data)


@producer(ACCEPTED)
def a_policy_names_another_log_too(made: Production) -> Files:
    line = f"log {Signer('log.example.com/exeat/2').vkey()}\n".encode()
    return resigned(made, policy=lambda data: line + data)


@producer("policy")
def a_policy_names_no_log(made: Production) -> Files:
    return resigned(made, policy=lambda data: data.split(b"\n", 1)[1])


@producer("policy")
def a_policy_names_a_witness_twice(made: Production) -> Files:
    return resigned(made, policy=lambda data: data.replace(b"group", b"witness w3 " + (
        made.log.witnesses[0].vkey(4).encode()) + b"\ngroup"))


@producer("policy")
def a_policy_names_a_witness_after_its_group(made: Production) -> Files:
    def later(data: bytes) -> bytes:
        lines = data.split(b"\n")
        return b"\n".join([lines[0], lines[3], *lines[1:3], *lines[4:]])

    return resigned(made, policy=later)


@producer("policy")
def a_quorum_names_nobody(made: Production) -> Files:
    return resigned(made, policy=lambda data: data.replace(b"quorum both", b"quorum w7"))


@producer("manifest")
def a_policy_is_longer_than_it_may_be(made: Production) -> Files:
    return resigned(made, policy=lambda data: data + b"# nothing\n" * 110_000)


@producer(ACCEPTED)
def a_policy_has_a_comment(made: Production) -> Files:
    return resigned(made, policy=lambda data: data + b"# nothing\n")


@producer(ACCEPTED)
def one_of_two_cosignatures_is_enough_where_the_policy_says_so(made: Production) -> Files:
    return resigned(made, policy=lambda data: data.replace(b"both all", b"both any"),
                    checkpoint=without(SECOND), stamp=lambda _: stamp_of(made, SECOND))


@producer("manifest")
def the_checkpoint_is_older_than_the_manifest_says(made: Production) -> Files:
    checkpoint = made.log.checkpoint(37)
    return resigned(made, checkpoint=lambda _: checkpoint, stamp=lambda _: b"\4\x20" + sha(checkpoint))


@producer("manifest")
def another_key_lies_in_the_production(made: Production) -> Files:
    return resigned(made, vkey=lambda _: Signer("log.example.com/exeat/2").vkey().encode() + b"\n")


def changed_manifest(name: str, change: Callable[[Dict[str, Any]], Any], check: str = "manifest") -> None:
    def mutate(made: Production) -> Files:
        files = made.files()
        said = json.loads(base64.b64decode(json.loads(files["manifest.json"])["payload"]))
        change(said)
        payload = dumps(said)
        kind = "application/vnd.in-toto+json"
        text = b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(payload), payload)
        files["manifest.json"] = dumps({"payloadType": kind, "payload": b64(payload), "signatures": [
            {"keyid": KEY.name, "sig": b64(made.log.key.sign(text))}]})
        return files

    mutate.__name__ = name
    producer(check)(mutate)


changed_manifest("the_statement_is_of_another_type",
                 lambda said: said.update(_type="https://in-toto.io/Statement/v0.1"))
changed_manifest("the_predicate_is_of_another_type", lambda said: said.update(predicateType="https://exeat.example/x"))
changed_manifest("the_manifest_lists_files_out_of_order", lambda said: said["subject"].reverse())
changed_manifest("the_manifest_lists_a_file_twice", lambda said: said["subject"].append(said["subject"][-1]))
changed_manifest("the_manifest_is_about_another_log", lambda said: said["predicate"].update(origin="log.example.com/2"))
changed_manifest("the_statement_has_another_member", lambda said: said.update(note=1))
changed_manifest("the_custody_entry_is_another", lambda said: said["predicate"].update(custody=8), "custody")
changed_manifest("the_custody_entry_is_not_shown", lambda said: said["predicate"].update(custody=0), "custody")
changed_manifest("the_selection_is_another_than_that_in_the_log",
                 lambda said: said["predicate"]["selection"].update(disclose=["facts", "digests", "content"]),
                 "custody")
changed_manifest("the_selection_has_another_member",
                 lambda said: said["predicate"]["selection"].update(note=1), "selection")


# Approvals.

def custody(name: str, check: str, change: Callable[[List[Any], int], Any]) -> None:
    """Adds a mutant in which the approvals in the custody entry are changed."""
    def mutate(story: Story) -> None:
        entry = named(story, "custody")
        said = json.loads(entry.fields[1])
        change(said["approvals"], entry.time)
        entry.fields[1] = dumps(said)

    mutate.__name__ = name
    holder(check, "production")(mutate)


def _forged(approvals: List[Any], at: int) -> None:
    approvals[0]["jws"] = approvals[1]["jws"]


def _expired(approvals: List[Any], at: int) -> None:
    approvals[0] = approval("rosa", SELECTION, at - 24 * 3_600_000 - 10_000)


def _for_another(approvals: List[Any], at: int) -> None:
    approvals[0] = approval("rosa", {**SELECTION, "disclose": []}, at)


def _twice(approvals: List[Any], at: int) -> None:
    approvals[1] = approvals[0]


def _another_act(approvals: List[Any], at: int) -> None:
    approvals[0]["act"]["act"] = "apply"


def _another_key(approvals: List[Any], at: int) -> None:
    approvals[0]["public_key"] = approvals[1]["public_key"]


custody("an_approval_is_forged", "custody", _forged)
custody("an_approval_had_ended", "custody", _expired)
custody("an_approval_is_for_another_selection", "custody", _for_another)
custody("somebody_approved_twice", "custody", _twice)
custody("the_act_approved_is_another", "custody", _another_act)
custody("an_approval_is_under_another_key", "custody", _another_key)


@producer("custody")
def the_custody_entry_is_withheld(made: Production) -> None:
    made.shown[made.custody] = set()


@producer("commitment")
def an_approval_is_removed_from_the_custody_entry(made: Production) -> Files:
    said = json.loads(made.custody.fields[1])
    value = dumps({**said, "approvals": said["approvals"][:1]})
    salt, true = made.custody.private[1]
    made.custody.private[1] = (salt, value)
    files = made.files()
    made.custody.private[1] = (salt, true)
    return files
