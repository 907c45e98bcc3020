"""Logs and productions in which entries refer to facts and snapshots that are not theirs, by name; see `mutate`."""

from typing import Any, Callable, Dict, Tuple

from make import Draft, sha
from mutate import ACCEPTED, KEY, Files, _add, holder, production_of
from mutate_log import insert, named
from story import SELECTION, Story, told

NOTHING = {**SELECTION, "disclose": []}
DIGESTS = {**SELECTION, "disclose": ["digests"]}
OTHERS = {**NOTHING, "model": "mythos-5"}
FIRST = {**NOTHING, "to": "2026-06-01T09:00:00.001Z"}


def showing(name: str, check: str, selection: Dict[str, Any], change: Callable[[Story], Any]) -> None:
    """Adds a mutant of a production of another selection, of a story that is changed before it is told."""
    def make() -> Tuple[Files, str]:
        story = told()
        true = named(story, "custody")
        story.drafts[story.drafts.index(true)] = story.named["custody"] = custody = Story().custody(selection)
        custody.time = true.time
        change(story)
        return production_of(story, story.log(), selection).files(), KEY.vkey()

    _add(name, "production", "holder", check, make, ())


# Facts of other entries (point 14).

def _facts_of(story: Story, of: str) -> None:
    """Makes an open that has the facts of another have those of some other entry."""
    named(story, "remembered").facts_of = named(story, of)


def _later(story: Story) -> None:
    remembered = named(story, "remembered")
    remembered.tweak = lambda entry: entry.update({16: remembered.index + 5})


def _itself(story: Story) -> None:
    remembered = named(story, "remembered")
    remembered.tweak = lambda entry: entry.update({16: remembered.index})


def _of_a_close(story: Story) -> None:
    named(story, "cut").facts_of = named(story, "grace")


def _both(story: Story) -> None:
    named(story, "remembered").fields[1] = named(story, "ada").fields[1]


def _none(story: Story) -> None:
    named(story, "grace").fields.clear()


def _digests_alone(story: Story) -> None:
    del named(story, "grace").fields[1]


def _of_none(story: Story) -> None:
    """Takes the private part of the entry whose facts another has."""
    named(story, "ada").fields.clear()


for _name, _of in (("where_none_are_shown", NOTHING), ("of_a_call_that_was_not_asked_for", OTHERS)):
    showing(f"the_facts_are_those_of_a_later_entry_{_name}", "facts", _of, _later)
    showing(f"the_facts_are_those_of_the_entry_itself_{_name}", "facts", _of, _itself)
    showing(f"a_close_has_the_facts_of_another_entry_{_name}", "facts", _of, _of_a_close)
    showing(f"the_facts_are_those_of_a_close_{_name}", "facts", _of, lambda story: _facts_of(story, "ada_close"))
    showing(f"the_facts_are_those_of_somebody_else_{_name}", "facts", _of, lambda story: _facts_of(story, "grace"))
    showing(f"an_open_has_no_private_part_{_name}", "facts", _of, _none)
    showing(f"the_facts_are_those_of_an_entry_without_any_{_name}", "facts", _of, _of_none)
    showing(f"the_facts_are_those_of_an_entry_that_is_not_shown_{_name}", ACCEPTED, _of,
            lambda story: _facts_of(story, "minh"))
showing("an_open_has_facts_and_those_of_another_where_digests_are_shown", "facts", DIGESTS, _both)
showing("an_open_has_digests_alone_where_these_are_shown", "facts", DIGESTS, _digests_alone)


# Snapshots that were not in force (point 10).

def _never(story: Story) -> None:
    named(story, "grace").body[7] = sha(b"never")


def _before(story: Story) -> None:
    """Makes the entries of a call from before the time name a snapshot that was never in force."""
    named(story, "early").body[7] = sha(b"never")


showing("a_call_names_a_snapshot_that_was_never_in_force", "snapshot", NOTHING, _never)
showing("a_call_of_another_model_names_a_snapshot_that_was_never_in_force", "snapshot", OTHERS, _never)
showing("a_call_of_another_time_names_a_snapshot_that_was_never_in_force", "snapshot", FIRST, _never)
showing("a_call_from_before_the_heads_names_a_snapshot_that_was_never_in_force", ACCEPTED, NOTHING, _before)


@holder(ACCEPTED, "production")
def facts_are_of_a_decision_under_a_snapshot_from_before_the_heads(story: Story) -> None:
    first, snapshot = named(story, "first"), story.in_force()
    act = story.drafts[-2]
    for draft in (act, snapshot):
        story.drafts.remove(draft)
        story.drafts.insert(story.drafts.index(first), draft)
        draft.time = first.time
    for name in ("ada", "minh"):
        named(story, name).body[7] = snapshot.body[7]


@holder(ACCEPTED, "production")
def facts_are_of_a_redecision_of_a_call_that_is_in_another_chain(story: Story) -> None:
    refusal = named(story, "refusal")
    story.at = refusal.time
    opened = story.open("ada", "borealis")
    again = story.decide_again(opened, "ada", "acme")
    after = refusal
    for draft in (opened, again, story.close(opened)):
        insert(story, draft, after)
        after = draft
    named(story, "remembered").facts_of = again


@holder(ACCEPTED)
def a_close_names_a_snapshot_that_decided_nothing(story: Story) -> None:
    named(story, "ada_close").body[7] = sha(b"never")


@holder(ACCEPTED, "production")
def a_close_of_a_production_names_a_snapshot_that_decided_nothing(story: Story) -> None:
    named(story, "ada_close").body[7] = sha(b"never")


@holder(ACCEPTED)
def a_cut_that_names_no_snapshot_has_facts(story: Story) -> None:
    named(story, "cut").fields[1] = named(story, "grace").fields[1]


# Calls that a meter took (point 8).

def metered(story: Story, after: Draft) -> Draft:
    """Puts an entry into the log by which a meter took the ticket of a call that is open."""
    grace = named(story, "grace")
    draft = story.add(13, body={name: grace.body[name] for name in (3, 6)})
    insert(story, draft, after)
    return draft


@holder(ACCEPTED)
def a_meter_took_the_ticket_of_a_call_that_is_opened_after_it(story: Story) -> None:
    taken = metered(story, named(story, "gone"))
    usage = {9: 3, 11: {2: 0, 3: 0}}
    insert(story, story.add(4, body={**taken.body, **usage}, opened=taken), named(story, "cut"))


@holder("call")
def a_meter_took_the_ticket_of_a_call_that_has_no_name(story: Story) -> None:
    del metered(story, named(story, "gone")).body[3]


@holder("call")
def a_meter_took_the_ticket_of_a_call_on_no_model(story: Story) -> None:
    del metered(story, named(story, "gone")).body[6]
