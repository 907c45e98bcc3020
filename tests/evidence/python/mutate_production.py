"""False productions, by name; see `mutate`."""

import json
from typing import Any, Callable, Dict

from make import Draft, Signer, chain, dumps, entries_file, opening, sha
from mutate import ACCEPTED, Files, anyone, flipped, holder, producer
from mutate_log import insert, named
from produce import Production, signed_manifest
from story import FROM, SELECTION, Story, told


def draft(made: Production, index: int) -> Draft:
    return made.log.drafts[index]


def find(made: Production, name: str) -> Draft:
    """Returns the draft of a name of the story."""
    story = told()
    return made.log.drafts[story.drafts.index(story.named[name])]


# By anyone: nothing is signed anew.

@anyone(ACCEPTED, "production")
def a_true_production(files: Files) -> None:
    pass


def flipping(file: str) -> None:
    def flip(files: Files) -> None:
        files[file] = flipped(files[file], len(files[file]) // 2)

    flip.__name__ = "a_byte_is_flipped_in_" + file.replace("/", "_").replace(".", "_")
    anyone("manifest", "production")(flip)


for _file in ("checkpoint", "log.vkey", "policy", "entries", "hashes", "heads.json", "sums.json", "names.json",
              "calls.csv", "timestamps/tsa.tsr", "report.html", "manifest.json"):
    flipping(_file)


@anyone("manifest", "production")
def a_file_is_added(files: Files) -> None:
    files["notes.txt"] = b"more\n"


@anyone("manifest", "production")
def a_file_is_missing(files: Files) -> None:
    del files["report.html"]


@anyone("manifest", "production")
def a_file_has_another_name(files: Files) -> None:
    files["raport.html"] = files.pop("report.html")


@anyone("manifest", "production")
def two_files_are_swapped(files: Files) -> None:
    files["names.json"], files["sums.json"] = files["sums.json"], files["names.json"]


@anyone("manifest", "production")
def another_key_is_pinned_for_a_production(files: Files) -> str:
    return Signer("log.example.com/exeat/2").vkey()


@anyone("manifest", "production")
def the_manifest_is_that_of_another_production(files: Files) -> None:
    story = told()
    named(story, "custody").fields = story.custody({**SELECTION, "disclose": []}).fields
    story.drafts.pop()
    log = story.log()
    made = Production(log, named(story, "first"), named(story, "second"), named(story, "custody"),
                      {**SELECTION, "disclose": []})
    files["manifest.json"] = made.files()["manifest.json"]


@anyone("manifest", "production")
def the_envelope_has_another_signer(files: Files) -> None:
    envelope = json.loads(files["manifest.json"])
    envelope["signatures"][0] = {"keyid": "log.example.com/exeat/2", "sig": envelope["signatures"][0]["sig"]}
    files["manifest.json"] = dumps(envelope)


@anyone("manifest", "production")
def the_envelope_is_of_another_type(files: Files) -> None:
    files["manifest.json"] = files["manifest.json"].replace(b"in-toto+json", b"out-toto+json")


# By the holder of the log's key: what is shown.

@producer("link")
def an_entry_of_the_chain_is_hidden(made: Production) -> None:
    del made.shown[find(made, "gone")]


@producer("link")
def a_whole_call_is_hidden(made: Production) -> None:
    for name in ("grace", "cut"):
        del made.shown[find(made, name)]


@producer("complete")
def the_last_call_of_the_chain_is_hidden(made: Production) -> None:
    last = find(made, "last")
    for one in (last, draft(made, last.index + 1)):
        del made.shown[one]


@producer("link")
def the_first_call_of_the_chain_is_hidden(made: Production) -> None:
    del made.shown[find(made, "ada")]


@producer("disclosure")
def an_entry_of_another_organization_is_shown(made: Production) -> None:
    made.shown[find(made, "minh")] = set()


@producer("disclosure")
def a_field_of_a_call_of_another_organization_is_shown(made: Production) -> None:
    made.shown[find(made, "minh")] = {1}


@producer("disclosure")
def a_field_is_shown_that_was_not_selected(made: Production) -> None:
    made.shown[find(made, "early")] = {1, 2}


@producer("disclosure", {**SELECTION, "disclose": ["facts"]})
def digests_are_shown_where_only_facts_were_selected(made: Production) -> None:
    made.shown[find(made, "ada")] = {1, 2}


@producer("disclosure", {**SELECTION, "disclose": []})
def facts_are_shown_where_nothing_was_selected(made: Production) -> None:
    made.shown[find(made, "ada")] = {1}


@producer("disclosure", {**SELECTION, "to": "2026-06-01T09:00:00.130Z"})
def a_field_of_a_call_outside_the_time_is_shown(made: Production) -> None:
    made.shown[find(made, "old")] = {1, 2}


@producer(ACCEPTED, {**SELECTION, "disclose": []})
def a_production_that_discloses_nothing(made: Production) -> None:
    pass


@producer(ACCEPTED, {**SELECTION, "model": "mythos-5"})
def a_production_of_one_model(made: Production) -> None:
    pass


@producer(ACCEPTED, {**SELECTION, "class": "subject", "name": "person:grace"})
def a_production_of_one_person(made: Production) -> None:
    pass


@producer(ACCEPTED, {**SELECTION, "class": "key", "name": "key:Oew812ly9zZjlXLX"})
def a_production_of_one_key(made: Production) -> None:
    pass


@producer(ACCEPTED, {**SELECTION, "class": "model", "name": "model:ember-2"})
def a_production_of_a_model(made: Production) -> None:
    pass


@producer(ACCEPTED, {**SELECTION, "class": "subject", "name": "person:nobody"})
def a_production_of_somebody_who_never_called(made: Production) -> None:
    pass


@holder(ACCEPTED, "production")
def a_production_from_the_beginning_of_the_log(story: Story) -> None:
    story.named["first"] = None


@producer("complete")
def the_snapshot_in_force_at_the_start_is_hidden(made: Production) -> None:
    del made.shown[next(one for one in made.shown if one.kind == 6)]


@producer("complete")
def a_snapshot_that_took_force_meanwhile_is_hidden(made: Production) -> None:
    del made.shown[find(made, "snapshot")]


@producer("snapshot")
def the_document_of_a_snapshot_is_withheld(made: Production) -> None:
    made.shown[find(made, "snapshot")] = set()


@producer("facts")
def the_facts_that_an_entry_points_to_are_hidden(made: Production) -> None:
    del made.shown[find(made, "early")]


@producer("tree")
def a_hash_is_missing(made: Production) -> Files:
    return resigned(made, hashes=lambda data: data[:-32])


@producer("tree")
def there_is_a_hash_too_many(made: Production) -> Files:
    return resigned(made, hashes=lambda data: data + bytes(32))


@producer("tree")
def a_byte_of_the_hashes_is_missing(made: Production) -> Files:
    return resigned(made, hashes=lambda data: data[:-1])


@producer("tree")
def a_hash_is_changed(made: Production) -> Files:
    return resigned(made, hashes=lambda data: flipped(data, 40))


@producer("tree")
def two_hashes_are_swapped(made: Production) -> Files:
    return resigned(made, hashes=lambda data: data[32:64] + data[:32] + data[64:])


@producer("tree")
def a_token_count_of_a_production_is_changed(made: Production) -> Files:
    close = find(made, "ada_close")
    leaf = close.leaf.replace(b"\x19\x05\xdc", b"\x19\x04\xdc", 1)
    assert leaf != close.leaf
    return resigned(made, entries=lambda data: data.replace(close.leaf, leaf))


@producer("entries")
def an_entry_of_a_production_stands_twice(made: Production) -> Files:
    one = find(made, "ada_close")
    mine = entries_file([(one, made.shown[one])])[16:]
    return resigned(made, entries=lambda data: data.replace(mine, mine + mine))


@producer("commitment")
def a_value_of_a_production_is_changed(made: Production) -> Files:
    return resigned(made, entries=lambda data: data.replace(b'"active":true', b'"active":null', 1))


def resigned(made: Production, **changes: Callable[[bytes], bytes]) -> Files:
    """Returns the files with some changed, and a manifest that is signed over these."""
    files = made.files()
    for name, change in changes.items():
        name = {"heads": "heads.json", "sums": "sums.json", "names": "names.json", "vkey": "log.vkey",
                "stamp": "timestamps/tsa.tsr"}.get(name, name)
        files[name] = change(files[name])
    del files["manifest.json"]
    return {**files, "manifest.json": signed_manifest(made.log, files, made.predicate())}


# Heads.

@producer("heads")
def a_head_has_one_entry_less(made: Production) -> None:
    made.heads["chain"]["to"]["head"]["seq"] -= 1


@producer("heads")
def the_tokens_of_a_head_are_changed(made: Production) -> None:
    made.heads["chain"]["to"]["head"]["output"] -= 1


@producer("heads")
def the_last_entry_of_a_head_is_changed(made: Production) -> None:
    made.heads["chain"]["to"]["head"]["last"] -= 1


@producer("heads")
def the_chain_is_said_to_be_empty(made: Production) -> None:
    made.heads["chain"]["from"]["head"] = None


@producer("heads")
def another_chain_is_to_show_that_there_is_none(made: Production) -> None:
    to = made.heads["chain"]["to"]
    made.heads["chain"]["to"] = {**other_head(made, "organization:borealis"), "head": None, "entry": to["entry"]}


def other_head(made: Production, name: str) -> Dict[str, Any]:
    span = made.span(chain(name))
    leaf = {"class": span["class"], "id": span["id"], "head": span["to"]["head"]}
    return {"path": span["to"]["path"], "other": leaf}


@producer("names")
def the_chain_of_another_organization_is_shown_under_the_name(made: Production) -> None:
    made.__init__(made.log, made.first, made.last, made.custody, {  # type: ignore[misc]
        **SELECTION, "name": "organization:borealis"})
    made.selection = made.recorded = SELECTION
    made.names = [{"class": "organization", "name": "organization:acme", "opening": opening("organization:acme").hex()}]


@producer("heads")
def a_hash_of_a_path_is_changed(made: Production) -> None:
    path = made.heads["chain"]["to"]["path"]
    path[0][1] = sha(b"another").hex()


@producer("heads")
def a_bit_of_a_path_is_changed(made: Production) -> None:
    path = made.heads["chain"]["to"]["path"]
    path[0][0] += 1


@producer("heads")
def a_path_is_too_short(made: Production) -> None:
    made.heads["chain"]["to"]["path"].pop()


@producer("heads")
def the_heads_entry_is_another_entry(made: Production) -> None:
    made.heads["chain"]["to"]["entry"] = made.custody.index


@producer("selection")
def the_heads_of_the_start_stand_at_the_end(made: Production) -> None:
    for span in made.heads.values():
        span["to"] = span["from"]


@producer("heads")
def the_two_chains_are_between_other_heads(made: Production) -> None:
    made.heads["in_force"]["from"] = None


@producer("heads")
def what_was_in_force_is_another_chain(made: Production) -> None:
    made.heads["in_force"] = made.heads["chain"]


@producer("heads")
def the_chain_is_of_another_class(made: Production) -> None:
    made.heads["chain"]["class"] = "key"


@holder("selection", "production")
def the_production_starts_at_heads_of_the_very_millisecond(story: Story) -> None:
    first = named(story, "first")
    for one in story.drafts[story.drafts.index(first):]:
        one.time = max(one.time, FROM)
    first.time = FROM


@holder("selection", "production")
def the_production_ends_at_heads_of_before_its_end(story: Story) -> None:
    second = named(story, "second")
    sums, end = named(story, "sums"), second.time
    for one in (sums, second):
        one.time = min(one.time, end - 120_000)


# Names, and what is for people.

@producer("names")
def an_opening_is_wrong(made: Production) -> None:
    made.names[0]["opening"] = opening("organization:borealis").hex()


@producer("names")
def the_name_selected_is_not_opened(made: Production) -> None:
    made.names.clear()


@producer("names")
def the_name_of_another_organization_is_opened(made: Production) -> None:
    made.names.append({"class": "organization", "name": "organization:borealis",
                       "opening": opening("organization:borealis").hex()})


@producer(ACCEPTED)
def the_names_of_people_who_were_selected_are_opened(made: Production) -> None:
    made.names.append({"class": "subject", "name": "person:grace", "opening": opening("person:grace").hex()})


@producer("table")
def a_line_of_the_table_is_changed(made: Production) -> None:
    made.table = made.table.replace(b"1500,1500", b"15,15")


@producer("table")
def a_line_of_the_table_is_missing(made: Production) -> None:
    lines = made.table.split(b"\n")
    made.table = b"\n".join(lines[:2] + lines[3:])


@producer("timestamp")
def a_time_stamp_is_of_another_checkpoint(made: Production) -> None:
    made.extra["timestamps/tsa.tsr"] = b"\x30\x22\4\x20" + sha(made.log.checkpoint(30))


# A call that was opened before the time that is shown.

def ending_within(name: str, check: str, change: Callable[[Draft], Any]) -> None:
    """Adds a mutant in which a call that was opened before the first heads entry ends after it."""
    def end(story: Story) -> None:
        close = next(draft for draft in story.drafts if draft.opened is named(story, "early"))
        insert(story, close, named(story, "first"))
        change(close)

    end.__name__ = name
    holder(check, "production")(end)


ending_within("a_call_that_was_opened_before_ends_within", ACCEPTED, lambda close: None)
ending_within("a_call_that_was_opened_before_ends_without_its_name", "entry", lambda close: setattr(
    close, "tweak", lambda entry: entry.pop(3)))
