"""False logs in which facts, links or what is withheld are wrong, by name; see `mutate`."""

from make import Draft, chain, sha
from mutate import ACCEPTED, holder
from mutate_log import insert, named
from story import Story

FURTHEST, LONGEST = 131_072, 1 << 20


@holder("facts")
def a_close_has_the_facts_of_another_entry(story: Story) -> None:
    named(story, "cut").facts_of = named(story, "grace")


@holder("facts")
def the_facts_are_in_a_close(story: Story) -> None:
    cut, last = named(story, "cut"), named(story, "last")
    cut.body.update({7: named(story, "grace").body[7], 8: ["base.published"]})
    cut.fields[1] = named(story, "grace").fields[1]
    last.facts_of = cut
    del last.fields[1]


@holder("facts")
def a_heads_entry_has_the_facts_of_another(story: Story) -> None:
    named(story, "second").facts_of = named(story, "ada")


@holder("facts")
def an_entry_has_facts_of_its_own_and_those_of_another(story: Story) -> None:
    named(story, "remembered").fields[1] = named(story, "ada").fields[1]


@holder("facts")
def a_cut_that_names_a_snapshot_has_no_facts(story: Story) -> None:
    named(story, "cut").body.update({7: named(story, "grace").body[7], 8: ["base.published"]})


@holder("facts")
def an_open_has_no_facts(story: Story) -> None:
    del named(story, "grace").fields[1]


@holder("facts")
def an_open_has_no_private_part(story: Story) -> None:
    named(story, "grace").fields.clear()


def further(story: Story, by: int) -> None:
    """Puts so many entries between one that has the facts of another and that one that it is `by` entries back."""
    remembered, facts, old = named(story, "remembered"), named(story, "ada"), named(story, "old")
    old.facts_of, old.fields[1] = None, facts.fields[1]
    at = story.drafts.index(remembered)
    missing = by - (at - story.drafts.index(facts))
    story.drafts[at:at] = [Draft(8, remembered.time, {10: "config.reload"}) for _ in range(missing)]


@holder(ACCEPTED)
def the_facts_are_as_far_back_as_they_may_be(story: Story) -> None:
    further(story, FURTHEST)


@holder("facts")
def the_facts_are_too_far_back(story: Story) -> None:
    further(story, FURTHEST + 1)


@holder(ACCEPTED)
def facts_are_as_long_as_they_may_be(story: Story) -> None:
    grace = named(story, "grace")
    grace.fields[1] = grace.fields[1].ljust(LONGEST)


@holder("entries")
def facts_are_longer_than_they_may_be(story: Story) -> None:
    grace = named(story, "grace")
    grace.fields[1] = grace.fields[1].ljust(LONGEST + 1)


@holder("link")
def an_act_is_in_the_chain_of_an_organization(story: Story) -> None:
    named(story, "custody").chains = [chain("organization:acme")]


@holder("link")
def a_heads_entry_is_in_the_chain_of_a_model(story: Story) -> None:
    named(story, "second").chains = [chain("model:ember-2")]


@holder("link")
def a_snapshot_is_in_the_chain_of_a_model_too(story: Story) -> None:
    named(story, "snapshot").chains.append(chain("model:ember-2"))


@holder("call")
def a_call_is_in_the_chain_of_what_was_in_force(story: Story) -> None:
    for name in ("grace", "cut"):
        named(story, name).chains.append(b"\5" + bytes(16))


@holder("call")
def a_call_is_in_the_chains_of_two_keys(story: Story) -> None:
    for name in ("grace", "cut"):
        named(story, name).chains.append(chain("key:Oew812ly9zZjlXLX"))


@holder("call")
def a_call_is_in_the_chains_of_two_models(story: Story) -> None:
    for name in ("grace", "cut"):
        named(story, name).chains.append(chain("model:mythos-5"))


def lacking(name: str, draft: str, key: int) -> None:
    """Adds a mutant in which an entry about a call that goes on lacks a field."""
    def lack(story: Story) -> None:
        del named(story, draft).body[key]

    lack.__name__ = name
    holder("call")(lack)


lacking("a_close_names_no_call", "lost_close", 3)
lacking("a_close_names_no_model", "cut", 6)
lacking("a_redecision_names_no_call", "again", 3)
lacking("a_redecision_names_no_model", "again", 6)
lacking("a_lease_names_no_call", "lease", 3)
lacking("a_lease_names_no_model", "lease", 6)


@holder(ACCEPTED)
def a_close_names_no_subject(story: Story) -> None:
    del named(story, "cut").body[5]


@holder("call")
def a_close_names_another_subject(story: Story) -> None:
    named(story, "cut").body[5] = sha(b"another")[:16]


@holder("call")
def a_close_does_not_say_which_entry_opened_its_call(story: Story) -> None:
    named(story, "cut").tweak = lambda entry: entry.pop(4)


@holder("call")
def the_name_of_a_call_is_used_again_while_it_counts(story: Story) -> None:
    opened, cut = named(story, "grace"), named(story, "cut")
    again = story.open("grace", "acme")
    again.body.update({3: opened.body[3], 7: opened.body[7]})
    insert(story, again, opened)
    named(story, "cut").opened = again
    cut.body[3] = opened.body[3]


@holder(ACCEPTED)
def the_epoch_of_a_key_is_not_that_of_the_time(story: Story) -> None:
    named(story, "custody").tweak = lambda entry: entry.update({18: 1})


def hide(story: Story) -> None:
    """Withholds the private part of an entry."""
    grace = named(story, "grace")
    story.withheld = lambda draft: draft is grace


@holder("withheld")
def a_private_part_of_the_log_is_withheld(story: Story) -> None:
    hide(story)


@holder(ACCEPTED, options=("--allow-withheld",))
def a_private_part_of_the_log_is_withheld_which_may_be(story: Story) -> None:
    hide(story)
