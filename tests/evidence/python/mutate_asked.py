"""Productions of what was not asked for, or that withhold what was, by name; see `mutate`."""

import json
from typing import Any, Callable, Dict, List, Tuple

from make import Draft, Signer, b64url, dumps, sha
from mutate import ACCEPTED, KEY, Files, _add, holder, producer, production_of, with_extension
from mutate_log import named
from mutate_production import find, resigned
from mutate_signed import custody, stamp
from produce import Production
from story import SELECTION, Story, approval, told

WITHHELD = ("--allow-withheld",)


# Selections.

def selecting(name: str, check: str = "selection", without: str = "", as_if: Any = SELECTION, **changes: Any) -> None:
    """Adds a mutant of a selection that is spelled otherwise, and recorded and approved so."""
    def same(made: Production) -> None:
        pass

    same.__name__ = name
    selection = {key: of for key, of in {**SELECTION, **changes}.items() if key != without}
    producer(check, selection, as_if=as_if)(same)


selecting("the_time_selected_ends_before_it_begins", as_if=None, **{"from": SELECTION["to"], "to": SELECTION["from"]})
selecting("the_time_selected_is_no_time", as_if=None, to=SELECTION["from"])
selecting("what_is_disclosed_is_out_of_order", disclose=["digests", "facts"])
selecting("what_is_disclosed_is_named_twice", disclose=["facts", "facts"])
selecting("what_is_disclosed_is_unknown", disclose=["facts", "names"])
selecting("the_time_has_digits_of_another_script", **{"from": SELECTION["from"].replace("9", "\u0669")})
selecting("the_time_has_four_digits_of_a_second", **{"from": "2026-06-01T09:00:00.0000Z"})
selecting("the_time_has_a_point_and_no_digits", **{"from": "2026-06-01T09:00:00.Z"})
selecting("the_time_has_a_small_letter", **{"from": "2026-06-01T09:00:00z"})
selecting("the_time_has_an_offset", **{"from": "2026-06-01T09:00:00+00:00"})
selecting("the_time_is_not_padded", **{"from": "2026-6-1T09:00:00Z"})
selecting("the_time_has_a_leap_second", to="2026-06-01T09:59:60Z")
selecting("the_model_of_a_selection_is_left_out", without="model")
selecting("the_time_begins_before_1970", **{"from": "1969-12-31T23:59:59Z"})
selecting("the_time_has_one_digit_of_a_second", ACCEPTED, **{"from": "2026-06-01T09:00:00.0Z"})
selecting("the_time_has_no_digits_of_a_second", ACCEPTED, **{"from": "2026-06-01T09:00:00Z"})


@producer(ACCEPTED)
def the_manifest_spells_the_time_otherwise_than_the_log(made: Production) -> None:
    made.selection = {**made.selection, "from": made.selection["from"].replace(".000Z", "Z")}


# What is withheld.

def _close(made: Production) -> Draft:
    return find(made, "ada_close")


def _all_told(made: Production) -> None:
    made.shown[find(made, "grace")] = set()


def _none_told(made: Production) -> None:
    _all_told(made)
    made.listed.remove(find(made, "grace"))


def _one_of_two(made: Production) -> None:
    made.shown[find(made, "grace")] = {1}


def _of_a_close(made: Production) -> None:
    made.shown[_close(made)] = set()
    made.listed.remove(_close(made))


def _of_all_calls(made: Production) -> None:
    for one in made.selected:
        made.shown[one] = set()
    made.listed.clear()


def _of_the_facts_elsewhere(made: Production) -> None:
    made.shown[find(made, "early")] = set()


def withholding(name: str, change: Callable[[Production], Any], disclose: List[str]) -> None:
    """Adds a mutant that withholds what was asked for, and one in which that may be."""
    for check, options, end in (("withheld", (), ""), (ACCEPTED, WITHHELD, "_which_may_be")):
        def withhold(made: Production) -> None:
            change(made)

        withhold.__name__ = name + end
        producer(check, {**SELECTION, "disclose": disclose}, options)(withhold)


withholding("the_whole_private_part_of_a_call_is_withheld", _none_told, ["facts"])
withholding("every_field_of_a_call_is_withheld", _all_told, ["facts", "digests"])
withholding("one_field_of_a_call_is_withheld", _one_of_two, ["facts", "digests"])
withholding("the_whole_private_part_of_a_close_is_withheld", _of_a_close, ["digests"])
withholding("the_private_parts_of_all_calls_are_withheld", _of_all_calls, ["facts", "digests"])
withholding("the_facts_that_an_entry_points_to_are_withheld", _of_the_facts_elsewhere, ["facts"])


@producer(ACCEPTED, {**SELECTION, "disclose": ["content"]})
def content_was_selected_and_there_is_none(made: Production) -> None:
    pass


@producer("withheld", {**SELECTION, "disclose": ["content"]})
def content_was_selected_and_it_is_not_told_that_there_is_none(made: Production) -> None:
    _none_told(made)


@producer("disclosure", {**SELECTION, "disclose": ["digests"]})
def the_entry_that_another_points_to_is_shown_where_no_facts_are_disclosed(made: Production) -> None:
    made.shown[find(made, "early")] = set()


# The program.

def started(name: str, check: str, change: Callable[[Production], Any]) -> None:
    """Adds a mutant in which other releases of the program are named."""
    def mutate(made: Production) -> None:
        change(made)

    mutate.__name__ = name
    producer(check)(mutate)


def _one_start_less(made: Production) -> None:
    made.shown.pop(made.starts()[-1])
    made.engine.pop()


def _not_listed(made: Production) -> None:
    made.engine.pop()


def _field_of_a_start(made: Production) -> None:
    made.shown[made.starts()[0]] = {1}


def _start_after_the_heads(made: Production) -> None:
    made.engine.insert(0, made.engine.pop())


started("no_release_of_the_program_is_named", "engine", lambda made: made.engine.clear())
started("another_release_of_the_program_is_named", "engine", lambda made: made.engine[0].update(version="0.2.0"))
started("a_start_is_shown_and_its_release_is_not_named", "disclosure", _not_listed)
started("a_start_is_named_and_not_shown", "engine", lambda made: made.shown.pop(made.starts()[-1]))
started("a_start_is_named_twice", "engine", lambda made: made.engine.append(made.engine[-1]))
started("the_starts_are_out_of_order", "engine", _start_after_the_heads)
started("the_start_before_the_heads_is_left_out", "engine", lambda made: (
    made.shown.pop(made.starts()[0]), made.engine.pop(0)))
started("what_a_start_recorded_is_shown", "disclosure", _field_of_a_start)
started("an_entry_that_is_no_start_is_named_as_one", "engine", lambda made: made.engine[0].update(
    start=made.first.index if made.first else 0))
started("a_start_within_is_left_out_which_only_the_log_knows", ACCEPTED, _one_start_less)


# Checkpoints, heads and time stamps.

@producer("checkpoint")
def the_checkpoint_of_a_production_has_an_extension(made: Production) -> Files:
    checkpoint = with_extension(made.log.checkpoint())
    return resigned(made, checkpoint=lambda _: checkpoint, stamp=lambda _: stamp(checkpoint))


@producer("timestamp")
def a_time_stamp_has_the_hash_alone(made: Production) -> None:
    made.extra["timestamps/tsa.tsr"] = stamp(made.log.checkpoint())[4:]


@producer("timestamp")
def a_time_stamp_has_another_name(made: Production) -> None:
    made.extra["timestamps/tsa.der"] = made.extra.pop("timestamps/tsa.tsr")


@producer("manifest")
def a_file_lies_in_another_folder(made: Production) -> None:
    made.extra["notes/report.html"] = made.extra.pop("report.html")


def heading(name: str, change: Callable[[Dict[str, Any]], Any]) -> None:
    """Adds a mutant of the heads of the chain."""
    def mutate(made: Production) -> None:
        change(made.heads["chain"])

    mutate.__name__ = name
    producer("heads")(mutate)


heading("the_heads_of_the_start_are_left_out", lambda span: span.pop("from"))
heading("the_head_of_the_start_is_left_out", lambda span: span["from"].pop("head"))
heading("another_leaf_is_null", lambda span: span["to"].update(other=None))
heading("a_path_is_an_object", lambda span: span["to"].update(path={}))
heading("true_stands_for_one_in_a_head", lambda span: span["from"]["head"].update(seq=True, calls=True))
heading("true_stands_for_one_in_a_path", lambda span: span["to"]["path"][-1].__setitem__(0, True))
heading("a_hash_of_a_path_is_in_capitals", lambda span: span["to"]["path"][0].__setitem__(
    1, span["to"]["path"][0][1].upper()))
heading("a_bit_of_a_path_stands_in_digits", lambda span: span["to"]["path"][0].__setitem__(
    0, str(span["to"]["path"][0][0])))


def longer_paths() -> Tuple[Files, str]:
    """Makes a production of a log whose roots are one step further up, by a bit that was below."""
    story, other = told(), sha(b"another side")
    for name in ("first", "second"):
        named(story, name).tweak = lambda entry: entry.update({20: sha(b"\1\0\7", other, entry[20])})
    made = production_of(story, story.log())
    for span in made.heads.values():
        for end in ("from", "to"):
            span[end]["path"].append([7, other.hex()])
    return made.files(), KEY.vkey()


_add("the_bits_of_a_path_rise", "production", "holder", "heads", longer_paths, ())


@producer("heads")
def a_zero_in_a_head_is_less_than_nothing(made: Production) -> Files:
    return resigned(made, heads=lambda data: data.replace(b'"refusals":0', b'"refusals":-0', 1))


@producer("heads")
def a_number_in_a_head_is_a_fraction(made: Production) -> Files:
    return resigned(made, heads=lambda data: data.replace(b'"refusals":0', b'"refusals":0.0', 1))


@producer("heads")
def a_number_in_a_head_has_a_million_digits(made: Production) -> Files:
    return resigned(made, heads=lambda data: data.replace(b'"refusals":0', b'"refusals":' + b"9" * 1_000_000, 1))


@producer("heads")
def a_number_in_a_head_is_longer_than_64_bits(made: Production) -> Files:
    return resigned(made, heads=lambda data: data.replace(b'"refusals":0', b'"refusals":18446744073709551616', 1))


@producer("heads")
def a_member_of_a_head_stands_twice(made: Production) -> Files:
    return resigned(made, heads=lambda data: data.replace(b'"refusals":0', b'"refusals":0,"refusals":0', 1))


@producer("names")
def a_name_is_half_of_a_pair(made: Production) -> Files:
    return resigned(made, names=lambda data: data.replace(b"organization:acme", b"organization:\\ud800", 1))


# Approvals.

def approved(name: str, check: str, approvals: Callable[[int], List[Any]], *pins: str) -> None:
    """Adds a mutant with other approvals."""
    def mutate(story: Story) -> None:
        entry = named(story, "custody")
        said = json.loads(entry.fields[1])
        entry.fields[1] = dumps({**said, "approvals": approvals(entry.time)})

    mutate.__name__ = name
    holder(check, "production", [text for pin in pins for text in ("--approver", pin)])(mutate)


def two(until: int, **changes: Any) -> List[Any]:
    """Returns approvals by two, of which the second is changed."""
    return [approval("rosa", SELECTION, until), {**approval("tomas", SELECTION, until), **changes}]


def pin(name: str, key: str) -> str:
    return f"{name}={b64url(Signer(key).public)}"


def _other_request(at: int) -> List[Any]:
    return [approval("rosa", SELECTION, at), approval("tomas", SELECTION, at, "PRD-2")]


def _loose(name: str) -> Callable[[int], List[Any]]:
    """Spells the last letter of a member otherwise: what it stands for is the same."""
    def spell(at: int) -> List[Any]:
        one = approval("tomas", SELECTION, at)
        letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
        one[name] = one[name][:-1] + letters[letters.index(one[name][-1]) + 1]
        return [approval("rosa", SELECTION, at), one]
    return spell


def _padded(at: int) -> List[Any]:
    return two(at, public_key=b64url(Signer("tomas").public) + "=")


approved("nobody_approved", "custody", lambda at: [])
approved("only_one_approved", "custody", lambda at: two(at)[:1])
approved("two_of_one_role_approved", "custody", lambda at: two(at, role="counsel"))
approved("one_key_approved_under_two_names", "custody", lambda at: [
    approval("rosa", SELECTION, at), approval("otto", SELECTION, at, key="rosa")])
approved("two_requests_were_approved", "custody", _other_request)
approved("three_approved", ACCEPTED, lambda at: [*two(at), approval("otto", SELECTION, at)])
approved("three_approved_of_whom_two_have_one_role", "custody", lambda at: [
    *two(at), {**approval("otto", SELECTION, at), "role": "counsel"}])
approved("an_approval_says_when_it_was_accepted", "custody", lambda at: two(at, at="2026-06-01T10:00:00.000Z"))
approved("a_role_is_not_a_text", "custody", lambda at: two(at, role=["security"]))
approved("a_key_of_an_approval_has_loose_bits", "custody", _loose("public_key"))
approved("a_signature_of_an_approval_has_loose_bits", "custody", _loose("jws"))
approved("a_key_of_an_approval_has_padding", "custody", _padded)
approved("those_who_approved_are_pinned", ACCEPTED, two, pin("rosa", "rosa"), pin("tomas", "tomas"),
         pin("otto", "otto"))
approved("one_who_approved_is_not_pinned", "custody", two, pin("rosa", "rosa"))
approved("one_who_approved_is_pinned_with_another_key", "custody", two, pin("rosa", "rosa"), pin("tomas", "otto"))
custody("true_stands_for_the_version_of_a_request", "custody", lambda approvals, at: approvals.__setitem__(
    slice(None), [approval(name, SELECTION, at, version=True) for name in ("rosa", "tomas")]))
