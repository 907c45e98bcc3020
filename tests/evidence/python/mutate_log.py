"""False logs of a holder of the log's key, by name; see `mutate`."""

import json
from typing import Any, Callable, Dict, List

from make import Draft, Log, chain, dumps, map_root, sha
from mutate import ACCEPTED, KEY, holder
from story import Story, told


def named(story: Story, name: str) -> Draft:
    return story.named[name]


def drop(story: Story, name: str) -> None:
    story.drafts.remove(named(story, name))


def named_index(name: str) -> int:
    """Returns the index that the entry of a name has in the true log."""
    story = told()
    return story.drafts.index(story.named[name])


def insert(story: Story, draft: Draft, after: Draft) -> None:
    story.drafts.remove(draft)
    story.drafts.insert(story.drafts.index(after) + 1, draft)
    draft.time = after.time


@holder("order")
def a_close_is_dropped(story: Story) -> None:
    drop(story, "gone")


@holder("call")
def an_open_is_dropped(story: Story) -> None:
    drop(story, "grace")


@holder("call")
def a_close_stands_twice(story: Story) -> None:
    cut = named(story, "cut")
    insert(story, story.close(cut.opened, outcome=2, code="output_limit", tokens=(10, 2, 2)), cut)


@holder("call")
def a_close_stands_before_its_open(story: Story) -> None:
    one, other = (story.drafts.index(named(story, name)) for name in ("grace", "cut"))
    story.drafts[one], story.drafts[other] = story.drafts[other], story.drafts[one]
    story.drafts[one].time, story.drafts[other].time = story.drafts[other].time, story.drafts[one].time


@holder("time")
def time_goes_back(story: Story) -> None:
    named(story, "snapshot").time -= 500


def link_of(entry: Dict[int, Any], kind: int) -> List[Any]:
    return next(link for link in entry[15] if link[0] == kind)


@holder("link")
def the_links_of_a_chain_are_renumbered(story: Story) -> None:
    def skip(entry: Dict[int, Any]) -> None:
        link_of(entry, 3)[2] += 1

    named(story, "refusal").tweak = skip


@holder("link")
def a_link_points_back_too_far(story: Story) -> None:
    def far(entry: Dict[int, Any]) -> None:
        link_of(entry, 3)[3] += 1

    named(story, "refusal").tweak = far


@holder("call")
def a_close_is_not_in_the_chain_of_its_organization(story: Story) -> None:
    named(story, "ada_close").chains.remove(chain("organization:acme"))


@holder("call")
def an_open_is_in_no_chain_of_a_model(story: Story) -> None:
    for name in ("grace", "cut"):
        named(story, name).chains.remove(chain("model:ember-2"))


@holder("call")
def an_open_is_in_the_chain_of_another_subject(story: Story) -> None:
    for name in ("grace", "cut"):
        chains = named(story, name).chains
        chains[chains.index(chain("person:grace"))] = chain("person:ada")


@holder("link")
def a_snapshot_is_in_no_chain(story: Story) -> None:
    named(story, "snapshot").chains.clear()


@holder("heads")
def the_root_of_a_heads_entry_is_changed(story: Story) -> None:
    named(story, "second").tweak = lambda entry: entry.update({20: sha(b"another")})


@holder("heads")
def a_heads_entry_leaves_a_chain_out(story: Story) -> None:
    def leave_out(log: Log, draft: Draft) -> None:
        heads = {key: head for key, head in log.heads.items() if key != chain("person:minh")}
        draft.tweak = lambda entry: entry.update({20: map_root(heads)})

    named(story, "second").late = leave_out


@holder("heads")
def a_heads_entry_is_stale(story: Story) -> None:
    first = told().log().drafts[named_index("first")]
    named(story, "second").tweak = lambda entry: entry.update({20: first.entry[20], 21: first.entry[21]})


@holder("snapshot")
def a_snapshot_names_another_document(story: Story) -> None:
    named(story, "snapshot").tweak = lambda entry: entry.update({7: sha(b"another")})


@holder("snapshot")
def a_call_is_decided_by_a_snapshot_that_was_replaced_long_ago(story: Story) -> None:
    old = named(story, "early").body[7]
    for draft in story.drafts[story.drafts.index(named(story, "last")):]:
        draft.time += 11_000
    named(story, "last").body[7] = old


@holder(ACCEPTED)
def a_call_is_decided_by_a_snapshot_that_was_just_replaced(story: Story) -> None:
    named(story, "refusal").body[7] = named(story, "early").body[7]


@holder(ACCEPTED)
def the_facts_are_those_of_a_decision_that_was_made_again(story: Story) -> None:
    named(story, "remembered").facts_of = named(story, "again")


@holder("facts")
def the_facts_are_those_of_another_subject(story: Story) -> None:
    named(story, "remembered").facts_of = named(story, "minh")


@holder("facts")
def the_facts_are_those_of_an_entry_that_has_none_itself(story: Story) -> None:
    named(story, "old").facts_of = named(story, "remembered")


@holder("facts")
def the_facts_are_in_an_entry_to_come(story: Story) -> None:
    old = named(story, "old")
    old.facts_of, old.tweak = None, lambda entry: entry.update({16: 35})


@holder("lease")
def more_was_delivered_than_the_lease_allows(story: Story) -> None:
    drop(story, "lease")


@holder("lease")
def a_lease_is_lowered(story: Story) -> None:
    named(story, "lease").body[17] = 500


@holder("lease")
def an_interrupted_call_hides_its_lease(story: Story) -> None:
    named(story, "lost_close").body[17] = 10


@holder("order")
def a_second_genesis_stands_in_the_log(story: Story) -> None:
    insert(story, story.add(1, fields=dict(story.drafts[0].fields)), named(story, "refusal"))


@holder("order")
def the_genesis_is_that_of_another_log(story: Story) -> None:
    story.drafts[0].fields[1] = dumps({"origin": "log.example.com/exeat/2", "key": KEY.vkey()})


@holder("order")
def the_genesis_says_nothing(story: Story) -> None:
    story.drafts[0].fields[1] = b""


@holder("order")
def the_genesis_is_an_array(story: Story) -> None:
    said = json.loads(story.drafts[0].fields[1])
    story.drafts[0].fields[1] = json.dumps([said["origin"], said["key"]]).encode()


@holder("order")
def a_start_is_an_array(story: Story) -> None:
    restart(story).fields[1] = json.dumps([True, 1]).encode()


@holder("order")
def a_start_says_nothing(story: Story) -> None:
    restart(story).fields[1] = b""


@holder("order")
def a_start_counts_interrupted_calls_with_true(story: Story) -> None:
    restart(story).fields[1] = dumps({"unclean": True, "interrupted": True})


@holder("order")
def a_start_says_with_a_number_that_it_was_unclean(story: Story) -> None:
    restart(story).fields[1] = dumps({"unclean": 1, "interrupted": 1})


@holder("order")
def the_log_goes_on_after_a_stop_without_a_start(story: Story) -> None:
    story.heads()


@holder("order")
def a_start_hides_that_the_process_ended_without_a_stop(story: Story) -> None:
    restart(story).fields[1] = dumps({"unclean": False, "interrupted": 1})


@holder("order")
def a_start_tells_of_more_interrupted_calls_than_there_were(story: Story) -> None:
    restart(story).fields[1] = dumps({"unclean": True, "interrupted": 2})


def restart(story: Story) -> Draft:
    return [draft for draft in story.drafts if draft.kind == 2][-1]


@holder("order")
def something_stands_between_an_interrupted_call_and_the_start(story: Story) -> None:
    insert(story, story.heads(), named(story, "lost_close"))


@holder("call")
def a_close_has_no_outcome(story: Story) -> None:
    del named(story, "cut").body[9]


@holder("call")
def a_close_has_no_usage(story: Story) -> None:
    del named(story, "cut").body[11]


@holder("call")
def a_cut_does_not_say_why(story: Story) -> None:
    del named(story, "cut").body[10]


@holder("call")
def a_close_names_another_call(story: Story) -> None:
    named(story, "cut").body[3] = named(story, "ada").body[3]


@holder("call")
def a_close_names_another_model(story: Story) -> None:
    named(story, "cut").body[6] = "mythos-5"


@holder("call")
def a_call_is_opened_twice(story: Story) -> None:
    opened = named(story, "ada")
    again = story.open("ada", "acme")
    again.body.update({3: opened.body[3], 7: opened.body[7]})
    insert(story, again, opened)


@holder("call")
def a_call_is_decided_again_long_after_it_ended(story: Story) -> None:
    again = story.decide_again(named(story, "grace"), "grace", "acme")
    again.time += 3_700_000
    for draft in story.drafts[story.drafts.index(named(story, "stop")):]:
        draft.time = max(draft.time, again.time)
    insert_at = story.drafts.index(named(story, "stop"))
    story.drafts.remove(again)
    story.drafts.insert(insert_at, again)


@holder("call")
def an_open_names_no_subject(story: Story) -> None:
    del named(story, "grace").body[5]


@holder("entry")
def an_entry_has_an_unknown_key(story: Story) -> None:
    named(story, "refusal").tweak = lambda entry: entry.update({22: 1})


@holder("entry")
def an_entry_is_of_another_version(story: Story) -> None:
    named(story, "refusal").tweak = lambda entry: entry.update({0: 1})


@holder("entry")
def an_entry_is_of_an_unknown_kind(story: Story) -> None:
    named(story, "stop").tweak = lambda entry: entry.update({1: 15})


@holder("entry")
def an_outcome_is_unknown(story: Story) -> None:
    named(story, "cut").tweak = lambda entry: entry.update({9: 7})


@holder("entry")
def a_private_part_has_no_nonce(story: Story) -> None:
    named(story, "custody").tweak = lambda entry: entry.pop(19)


@holder("entry")
def a_private_part_has_no_epoch(story: Story) -> None:
    named(story, "custody").tweak = lambda entry: entry.pop(18)


@holder("entry")
def the_links_are_empty(story: Story) -> None:
    named(story, "stop").tweak = lambda entry: entry.update({15: []})


@holder("entry")
def the_links_are_out_of_order(story: Story) -> None:
    named(story, "refusal").tweak = lambda entry: entry[15].reverse()


@holder("entry")
def a_link_is_of_an_unknown_class(story: Story) -> None:
    named(story, "stop").tweak = lambda entry: entry.update({15: [[6, bytes(16), 0, 0]]})


@holder("entry")
def the_usage_has_an_unknown_key(story: Story) -> None:
    named(story, "cut").tweak = lambda entry: entry[11].update({4: 1})


@holder("entry")
def an_entry_is_longer_than_it_may_be(story: Story) -> None:
    named(story, "refusal").body[10] = "x" * 900


@holder("commitment")
def a_private_part_stands_without_a_commitment(story: Story) -> None:
    def uncommitted(entry: Dict[int, Any]) -> None:
        for key in (12, 18, 19):
            entry.pop(key, None)

    named(story, "custody").tweak = uncommitted


@holder("entries")
def a_close_has_the_digest_of_a_request(story: Story) -> None:
    named(story, "cut").fields[2] = sha(b"request")


def respelled(name: str, change: Callable[[bytes], bytes]) -> Callable[[Story], None]:
    """Changes the bytes of an entry that otherwise stays what it is."""
    def respell(story: Story) -> None:
        draft = named(story, name)
        encode = draft.encode

        def other() -> None:
            encode()
            draft.leaf = change(draft.leaf)

        draft.encode = other  # type: ignore[method-assign]
    return respell


def spelling(name: str, change: Callable[[bytes], bytes]) -> None:
    make = respelled("stop", change)
    make.__name__ = name
    holder("entry")(make)


spelling("a_number_is_not_in_its_shortest_form", lambda leaf: leaf.replace(b"\1\x0a\2", b"\1\x18\x0a\2", 1))
spelling("keys_are_out_of_order", lambda leaf: leaf.replace(b"\0\2\1\x0a", b"\1\x0a\0\2", 1))
spelling("a_key_stands_twice", lambda leaf: bytes([leaf[0] + 1]) + leaf[1:3] + leaf[1:3] + leaf[3:])
spelling("something_stands_after_the_map", lambda leaf: leaf + b"\0")
spelling("a_map_is_of_indefinite_length", lambda leaf: b"\xbf" + leaf[1:] + b"\xff")
spelling("a_field_is_null", lambda leaf: bytes([leaf[0] + 1]) + leaf[1:] + b"\x0a\xf6")
spelling("an_entry_is_empty", lambda leaf: b"")


@holder("snapshot")
def a_call_at_the_beginning_of_time_is_decided_by_what_was_never_in_force(story: Story) -> None:
    for draft in story.drafts:
        draft.time = 0
    named(story, "early").body[7] = sha(b"another")


@holder("snapshot")
def a_snapshot_has_no_private_part(story: Story) -> None:
    named(story, "snapshot").fields.clear()


@holder("snapshot")
def a_snapshot_that_is_withheld_names_no_document(story: Story) -> None:
    snapshot = named(story, "snapshot")
    snapshot.tweak = lambda entry: entry.pop(7)
    story.withheld = lambda draft: draft is snapshot
