"""Statements of gateway and meter that are false, and false proofs of them, by name; see `mutate`."""

import json
from typing import Any, Callable, Dict, Tuple

from make import Draft, Log, Signer, chain, dumps, sha
from mutate import ACCEPTED, KEY, Files, _add, holder, producer, production_of
from mutate_log import insert, named, named_index
from mutate_production import find
from produce import Production
from story import FROM, HOUR, METER, SUMS, Story, about, side, told, total

OTHER = "meter.example.net/2"
DIFFER = ("--allow-differences", str(named_index("sums")))


@holder("sums")
def a_token_count_is_changed_after_the_meter_signed(story: Story) -> None:
    true = told().log().drafts[named_index("sums")]
    fewer(story)
    sums = named(story, "sums")
    sums.late, sums.fields, sums.body[20] = None, dict(true.fields), true.body[20]


def fewer(story: Story) -> None:
    """Makes a call of fewer tokens than the meter counted."""
    named(story, "ada_close").body[11] = {0: 120, 1: 15, 2: 15, 3: 1200}


def change_statement(story: Story, change: Callable[[Dict[str, Any]], Any], signers: Any = ()) -> None:
    """Changes a statement; then those of `signers` sign it, each what it says."""
    sums = named(story, "sums")
    make = sums.late
    assert make is not None

    def late(log: Log, draft: Draft) -> None:
        make(log, draft)
        said = json.loads(draft.fields[1])
        change(said)
        keys = [log.key, Signer(METER)]
        for name, key in zip(("gateway", "meter"), keys):
            if name in signers:
                trees = [(bytes.fromhex(of["root"]), [of[sum_of] for sum_of in SUMS]) for of in (
                    said[name]["completed"], said[name]["early"])]
                said[name] = side(key, trees, about(*keys, said["model"], said["hour"]))
                draft.body[20] = total(trees) if name == "gateway" else draft.body[20]
        draft.fields = {1: dumps(said)}

    sums.late = late


def stated(name: str, change: Callable[[Dict[str, Any]], Any], check: str = "sums", signers: Any = ("meter",),
           code: str = "agree", options: Any = (), command: str = "bundle") -> None:
    """Adds a mutant with another statement, signed anew by some."""
    def mutate(story: Story) -> None:
        change_statement(story, change, signers)
        named(story, "sums").body[10] = code

    mutate.__name__ = name
    holder(check, command, options)(mutate)


def _one_call_differs(said: Dict[str, Any]) -> None:
    said["meter"]["completed"]["output"] += 1
    one = dict.fromkeys(SUMS, 1)
    said["differ"] = {"calls": 1, "gateway": one, "meter": {**one, "output": 2}, "hash": sha(b"what differs").hex()}


def _more_than_differ(said: Dict[str, Any]) -> None:
    _one_call_differs(said)
    said["differ"]["gateway"] = {**dict.fromkeys(SUMS, 1), "calls": 2}


def _true_for_a_call(said: Dict[str, Any]) -> None:
    _one_call_differs(said)
    said["differ"]["calls"] = True


stated("the_meters_signature_is_forged",
       lambda said: said["meter"].update(signature=said["gateway"]["signature"]), signers=())
stated("the_gateway_says_it_agrees_where_it_does_not", lambda said: said["meter"]["completed"].update(output=0))
stated("the_sides_do_not_agree", _one_call_differs, "differences", code="differ")
stated("the_sides_do_not_agree_in_a_production", _one_call_differs, "differences", code="differ", command="production")
stated("the_sides_do_not_agree_which_may_be", _one_call_differs, ACCEPTED, code="differ", options=DIFFER)
stated("the_sides_do_not_agree_in_a_production_which_may_be", _one_call_differs, ACCEPTED, code="differ",
       options=DIFFER, command="production")
stated("the_sides_do_not_agree_and_all_may", _one_call_differs, ACCEPTED, code="differ",
       options=("--allow-differences", "1", "--allow-differences", "all"))
stated("the_sides_do_not_agree_and_others_may", _one_call_differs, "differences", code="differ",
       options=("--allow-differences", str(named_index("sums") + 1), "--allow-differences", "0"))
stated("the_entry_says_that_they_agree_and_the_statement_that_they_do_not", _one_call_differs, options=DIFFER)
stated("the_entry_says_that_they_differ_and_the_statement_that_they_agree", lambda said: None, code="differ",
       options=DIFFER)
stated("what_differs_is_hashed_where_nothing_does", lambda said: said["differ"].update(hash=sha(b"what").hex()))
stated("what_a_side_counted_differs_in_no_call", lambda said: said["differ"]["meter"].update(events=1))
stated("more_calls_are_known_than_differ", _more_than_differ, code="differ", options=DIFFER)
stated("true_stands_for_one_call_that_differs", _true_for_a_call, code="differ", options=DIFFER)
stated("the_reconciliation_is_of_another_hour", lambda said: said.update(hour=said["hour"] + 1), signers=())
stated("the_reconciliation_is_signed_for_another_hour", lambda said: said.update(hour=said["hour"] + 1),
       signers=("gateway", "meter"))
stated("a_statement_has_another_member", lambda said: said.update(note="more"))
stated("a_statement_is_of_another_format", lambda said: said.update(format="exeat-sums/v1"))
stated("a_statement_has_lost_its_early_calls", lambda said: said["gateway"].pop("early"), signers=())
stated("the_early_calls_of_a_statement_are_others", lambda said: said["gateway"]["early"].update(output=1),
       signers=("gateway", "meter"))
stated("the_completed_calls_of_a_statement_are_others", lambda said: [
    said[name]["completed"].update(calls=1) for name in ("gateway", "meter")], signers=("gateway", "meter"))


@holder("sums")
def the_reconciliation_is_of_another_model(story: Story) -> None:
    named(story, "sums").body[6] = "mythos-5"


@holder("sums")
def the_root_of_a_reconciliation_is_changed(story: Story) -> None:
    named(story, "sums").tweak = lambda entry: entry.update({20: sha(b"another")})


@holder(ACCEPTED)
def an_hour_is_reconciled_twice(story: Story) -> None:
    insert(story, story.reconcile(FROM // HOUR), named(story, "sums"))


def two_meters(story: Story) -> None:
    """Gives a call of the hour to another meter, which signs for it."""
    named(story, "ada_close").body[22] = sha(OTHER.encode())[:8]
    insert(story, story.reconcile(FROM // HOUR, meter=OTHER), named(story, "sums"))


for _command in ("bundle", "production"):
    def _two(story: Story) -> None:
        two_meters(story)

    _two.__name__ = f"two_meters_have_calls_of_one_hour_in_a_{_command}"
    holder(ACCEPTED, _command)(_two)


@holder("sums")
def a_call_of_one_meter_is_counted_for_another(story: Story) -> None:
    true = told().log().drafts[named_index("sums")]
    named(story, "ada_close").body[22] = sha(OTHER.encode())[:8]
    sums = named(story, "sums")
    sums.late, sums.fields, sums.body[20] = None, dict(true.fields), true.body[20]


def _late(story: Story) -> None:
    """Lets a call end after the statement that is about its hour."""
    sums, last = named(story, "sums"), named(story, "last")
    close = next(draft for draft in story.drafts if draft.kind == 4 and draft.opened is last)
    close.time = sums.time
    insert(story, close, sums)


for _command in ("bundle", "production"):
    def _after(story: Story) -> None:
        _late(story)

    _after.__name__ = f"a_call_ends_after_the_statement_about_its_hour_in_a_{_command}"
    holder("sums", _command)(_after)


@holder(ACCEPTED)
def a_call_of_no_meter_is_in_no_statement(story: Story) -> None:
    del named(story, "ada_close").body[22]


@holder("entry")
def a_close_names_a_meter_in_more_bytes_than_it_may(story: Story) -> None:
    named(story, "ada_close").body[22] = sha(METER.encode())[:16]


@holder("link")
def a_reconciliation_is_in_no_chain(story: Story) -> None:
    named(story, "sums").chains.clear()


@holder("link")
def a_reconciliation_is_in_the_chain_of_an_organization(story: Story) -> None:
    named(story, "sums").chains[:] = [chain("organization:acme")]


def pinned(name: str, check: str, command: str, *meters: str) -> None:
    """Adds a mutant in which keys of meters are pinned."""
    def mutate(story: Story) -> None:
        pass

    mutate.__name__ = name
    holder(check, command, [text for meter in meters for text in ("--meter", Signer(meter).vkey())])(mutate)


for _command in ("bundle", "production"):
    pinned(f"the_meter_of_a_{_command}_is_pinned", ACCEPTED, _command, OTHER, METER)
    pinned(f"the_meter_of_a_{_command}_is_not_one_that_is_pinned", "meter", _command, OTHER)


# Proofs.

def changed_sums(name: str, tree: str, change: Callable[[Dict[str, Any]], Any]) -> None:
    """Adds a mutant in which what shows the calls in one of the trees is changed."""
    def mutate(made: Production) -> None:
        change(made.sums[0][tree] if tree else made.sums[0])

    mutate.__name__ = name
    producer("sums")(mutate)


def _one_more(item: Dict[str, Any]) -> None:
    item["nodes"][0][3] += 1


def _other_hash(item: Dict[str, Any]) -> None:
    item["nodes"][0][0] = sha(b"another").hex()


def _true_in_a_node(item: Dict[str, Any]) -> None:
    node = next(node for node in item["nodes"] if 1 in node)
    node[node.index(1)] = True


def _true_for_a_position(item: Dict[str, Any]) -> None:
    item["positions"] = [True if at == 1 else at for at in item["positions"]]
    assert True in [at for at in item["positions"] if type(at) is bool]


changed_sums("the_tokens_of_a_node_of_the_sums_are_changed", "completed", _one_more)
changed_sums("a_hash_of_the_sums_is_changed", "completed", _other_hash)
changed_sums("a_node_of_the_sums_is_missing", "completed", lambda item: item["nodes"].pop())
changed_sums("there_is_a_node_of_the_sums_too_many", "completed", lambda item: item["nodes"].append(item["nodes"][0]))
changed_sums("true_stands_for_one_in_a_node_of_the_sums", "completed", _true_in_a_node)
changed_sums("true_stands_for_one_in_a_position_in_the_sums", "early", _true_for_a_position)
changed_sums("a_position_in_the_sums_is_changed", "completed",
             lambda item: item["positions"].__setitem__(0, item["positions"][0] ^ 1))
changed_sums("a_call_is_left_out_of_the_sums", "completed", lambda item: item["positions"].pop())
changed_sums("an_early_call_is_left_out_of_the_sums", "early", lambda item: item["positions"].pop())
changed_sums("the_sums_are_of_more_calls_than_there_are", "completed", lambda item: item.update(size=item["size"] + 1))
changed_sums("the_early_sums_are_of_more_calls_than_there_are", "early",
             lambda item: item.update(size=item["size"] + 1))
changed_sums("the_two_trees_of_the_sums_are_swapped", "", lambda item: item.update(
    completed=item["early"], early=item["completed"]))
changed_sums("the_sums_are_those_of_another_entry", "", lambda item: item.update(entry=item["entry"] + 1))


changed_sums("the_proof_of_the_early_calls_is_an_empty_object", "", lambda item: item.update(early={}))
changed_sums("the_proof_of_the_early_calls_is_null", "", lambda item: item.update(early=None))
changed_sums("an_empty_object_stands_for_no_nodes", "early", lambda item: item.update(nodes={}))


@producer("sums")
def an_object_stands_for_no_sums(made: Production) -> None:
    made.sums = {}
    del made.shown[find(made, "sums")]


@producer("sums")
def the_same_sums_stand_twice(made: Production) -> None:
    made.sums.append(made.sums[0])


@producer("disclosure")
def a_reconciliation_is_shown_and_its_sums_are_not(made: Production) -> None:
    made.sums.clear()


@producer(ACCEPTED)
def calls_that_were_not_reconciled_are_counted(made: Production) -> None:
    made.sums.clear()
    del made.shown[find(made, "sums")]


def _empty(tree: Dict[str, Any]) -> None:
    tree.update(root=sha().hex(), **dict.fromkeys(SUMS, 0))


def _without_calls(said: Dict[str, Any]) -> None:
    for name in ("gateway", "meter"):
        _empty(said[name]["completed"])


def empty_sums() -> Tuple[Files, str]:
    """Makes a production in which both sides say that no call completed, and positions stand in that empty tree."""
    story = told()
    change_statement(story, _without_calls, ("gateway", "meter"))
    made = production_of(story, story.log())
    made.sums[0]["completed"].update(size=0, nodes=[])
    return made.files(), KEY.vkey()


_add("calls_that_completed_have_positions_in_an_empty_tree", "production", "holder", "sums", empty_sums, ())
