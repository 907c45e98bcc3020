"""Values of another type, or left out, anywhere in what a holder of the log's key signs: both verifiers answer alike."""

import copy
import json
import random

import pytest

from make import dumps
from mutate import ACCEPTED, KEY, production_of
from story import told
from test_verifiers import in_python, in_rust, written

ODD = [None, True, False, {}, [], "", 0, 1, -1, 1.5, 2**64, "x", [[]], {"a": 1}]
MISSING = object()


def places(value, at=()):
    """Returns where every value in a JSON document stands."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(place for name, one in inside for place in places(one, (*at, name)))]


def with_odd(value, at, odd):
    """Returns the document with something odd in one place, or nothing."""
    whole = holder = {"": copy.deepcopy(value)}
    *way, last = ("", *at)
    for name in way:
        holder = holder[name]
    if odd is MISSING and at:
        del holder[last]
    else:
        holder[last] = None if odd is MISSING else odd
    return whole[""]


def changed(source, change):
    """Returns the files of a production in which one document is changed before all is signed."""
    story = told()
    if source == "custody":
        entry = story.named["custody"]
        entry.fields[1] = dumps(change(json.loads(entry.fields[1])))
    made = production_of(story, story.log())
    if source == "predicate":
        predicate = made.predicate()
        made.predicate = lambda: change(predicate)
    elif source != "custody":
        setattr(made, source, change(getattr(made, source)))
    return made.files()


@pytest.mark.parametrize("source", ["heads", "names", "sums", "predicate", "custody"])
def test_a_value_of_another_type_is_answered_alike(source, tmp_path):
    chosen = random.Random(source)
    found = []
    changed(source, lambda value: found.extend(places(value)) or value)
    for number in range(20):
        at, odd = chosen.choice(found), chosen.choice([*ODD, MISSING])
        folder = written(tmp_path / str(number), changed(source, lambda value: with_odd(value, at, odd)))
        check, said = in_python("production", folder, KEY.vkey())
        ended, rust = in_rust("production", folder, KEY.vkey())
        assert (ended == 0) == (check == ACCEPTED), f"{at} {odd}\nPython: {said}\nRust: {rust}"
