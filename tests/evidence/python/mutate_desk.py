"""Logs of a desk whose acts were not approved as they had to be, by name, and of some that were; see `mutate`."""

import json
from typing import Any, Callable, Dict, Tuple

from desk import (BINDS, BOTH, SPOKE, Desk, Document, directive, license_of, respelled, second, signature,
                  successor, superseded)
from make import T0, b64url, canonical, rfc3339, sha
from mutate import ACCEPTED, Files, _add
from story import SELECTION

WITHHELD = ("--allow-withheld",)
FIRST = directive()


def desk(check: str, *options: str, needs: int = 2) -> Callable[..., Any]:
    """Adds a log of a desk that asks for so many approvals."""
    def put(tell: Callable[[Desk], Any]) -> None:
        def make() -> Tuple[Files, str]:
            story = Desk(needs)
            tell(story)
            log = story.log()
            return log.bundle(story.withheld), log.key.vkey()

        _add(tell.__name__, "bundle", "holder", check, make, options)
    return put


def telling(name: str, check: str, tell: Callable[[Desk], Any], *options: str) -> None:
    tell.__name__ = name
    desk(check, *options)(tell)


# What an honest desk does.

@desk(ACCEPTED)
def a_desk_puts_in_force_what_two_approved(story: Desk) -> None:
    story.govern()
    story.put("config.reload", FIRST)
    story.approve(license_of())
    story.put("license.apply", FIRST, license_of())
    story.stop()
    story.start(False, 0)
    story.put("config.load", FIRST, license_of())


@desk(ACCEPTED)
def a_stay_without_its_approvals_ends_and_what_waited_goes_on_waiting(story: Desk) -> None:
    story.govern()
    story.approve(successor())
    story.put("directive.apply", FIRST, superseded(), successor())
    story.glass(3, FIRST)
    story.put("directive.stay", directive(version=3, status="stayed"), superseded(4), successor())
    story.put("directive.restore", directive(version=5, status_since=second(T0)), superseded(6), successor())
    story.glass(3, FIRST, ended="limit")


@desk(ACCEPTED)
def what_took_force_without_its_approvals_is_approved_afterwards(story: Desk) -> None:
    story.glass(1, None)
    story.put("directive.apply", FIRST)
    story.sign("iris", "apply", FIRST)


@desk(ACCEPTED, needs=0)
def a_desk_that_asks_for_no_approval_has_none(story: Desk) -> None:
    story.put("directive.apply", FIRST)


@desk(ACCEPTED)
def the_key_of_an_approver_is_replaced_and_the_new_one_signs(story: Desk) -> None:
    story.approver("iris", revoked=SPOKE)
    story.approver("iris", key="iris again")
    story.file(FIRST)
    story.record("directive.approve", "approval", signature("iris", story.act("apply", FIRST), key="iris again"))
    story.sign("otto", "apply", FIRST)
    story.put("directive.apply", FIRST)


@desk(ACCEPTED)
def an_approval_says_when_the_desk_accepted_it(story: Desk) -> None:
    story.file(FIRST)
    for name, at in (("iris", SPOKE), ("otto", None)):
        story.sign(name, "apply", FIRST, at=at)
    story.put("directive.apply", FIRST)


@desk(ACCEPTED)
def a_production_was_requested_and_approved_by_the_desk(story: Desk) -> None:
    story.record("production.request", "production", {"id": "PRD-1", "selection": SELECTION, "actor": "token:1"})
    act = story.act("produce", {"type": "production/v1", "id": "PRD-1", "version": 1})
    digest = sha(canonical(SELECTION)).hex()
    for name in BOTH:
        approval = signature(name, {**act, "document_sha256": digest})
        story.record("production.approve", "approval", approval)


@desk(ACCEPTED)
def a_document_has_names_beyond_the_basic_plane(story: Desk) -> None:
    odd = {"id": "DIR-9", "type": "directive/v1", "version": 1, "\U0001f600": 1, "\ufb33": 2}
    story.file(odd)
    by_units = dict(sorted(odd.items(), key=lambda pair: pair[0].encode("utf-16-be")))
    digest = sha(json.dumps(by_units, separators=(",", ":"), ensure_ascii=False).encode()).hex()
    story.record("directive.approve", "approval", signature("iris", story.act("apply", odd, document_sha256=digest)))


@desk(ACCEPTED)
def an_entry_of_others_is_no_json(story: Desk) -> None:
    story.add(8, body={10: "token.issue"}, fields={1: b"no json"})
    story.record("person.put", "directive", {"id": 7}, 7)
    story.record("approver.add", "approver", {"id": 7}, 7)


# Approvals that are missing, forged, too few, reused, of another key, or out of order.

def approving(name: str, tell: Callable[[Desk], Any], check: str = "desk") -> None:
    """Adds a log in which the first directive is filed and takes force after what is told."""
    def whole(story: Desk) -> None:
        story.file(FIRST)
        tell(story)
        story.put("directive.apply", FIRST)

    telling(name, check, whole)


def _sign(story: Desk, *names: str, **more: Any) -> None:
    for name in names:
        story.sign(name, "apply", FIRST, **more)


def _acts(story: Desk, **more: Any) -> None:
    """Has both sign an act with other members."""
    for name in BOTH:
        story.record("directive.approve", "approval", signature(name, story.act("apply", FIRST, **more)))


def _revoked(*order: str) -> Callable[[Desk], None]:
    """Has both sign, and one of them revoked, in this order."""
    def tell(story: Desk) -> None:
        for one in order:
            story.approver("otto", revoked=SPOKE) if one == "revoked" else _sign(story, one)
    return tell


def _replaced(story: Desk) -> None:
    _sign(story, *BOTH)
    story.approver("otto", key="otto again")


def _expiring(after: int) -> Callable[[Desk], None]:
    def tell(story: Desk) -> None:
        # The snapshot follows 10 milliseconds after the second signature, which is 10 after the first.
        _acts(story, valid_until=rfc3339(story.at + 30 - after))
    return tell


approving("nobody_approved_an_act", lambda story: None)
approving("one_approved_an_act", lambda story: _sign(story, "iris"))
approving("one_approved_an_act_twice", lambda story: _sign(story, "iris", "iris"))
approving("two_of_one_role_approved_an_act", lambda story: _sign(story, "iris", "vera"))
approving("three_in_two_roles_approved_an_act", lambda story: _sign(story, *BOTH, "vera"), ACCEPTED)
approving("a_stranger_approved_an_act", lambda story: _sign(story, *BOTH, "eve"))
approving("an_approver_signed_in_another_role", lambda story: _sign(story, *BOTH, "vera", role="security"))
approving("an_approver_signed_with_a_key_that_is_not_registered", lambda story: (
    _sign(story, "iris"), _sign(story, "otto", key="eve")))
approving("an_act_was_signed_with_the_key_of_another", lambda story: (
    _sign(story, "iris"), _sign(story, "otto", key="iris")))
approving("the_key_beside_a_signature_is_not_its_own", lambda story: (
    _sign(story, "iris"), _sign(story, "otto", key="eve", public_key=signature("otto", {})["public_key"])))
approving("an_approver_was_revoked_before_signing", _revoked("iris", "revoked", "otto"))
approving("an_approver_was_revoked_after_signing", _revoked("iris", "otto", "revoked"))
approving("an_approver_was_revoked_and_is_not_needed", lambda story: (
    _sign(story, *BOTH, "vera"), story.approver("vera", revoked=SPOKE)), ACCEPTED)
approving("the_key_of_an_approver_was_replaced_after_signing", _replaced)
approving("both_approved_another_act", lambda story: _acts(story, act="stay"))
approving("both_approved_another_version", lambda story: _acts(story, version=2))
approving("both_approved_another_kind", lambda story: _acts(story, kind="license"))
approving("both_approved_another_document", lambda story: _acts(story, document_sha256="0" * 64))
approving("what_both_approved_ended_long_before", _expiring(10_000))
approving("what_both_approved_ended_just_before", _expiring(9_999), ACCEPTED)
approving("what_both_approved_ends_at_no_time", lambda story: _acts(story, valid_until="tomorrow"))
approving("what_both_approved_ends_at_a_time_of_another_zone", lambda story: _acts(
    story, valid_until="2026-06-09T00:00:00+02:00"))
approving("what_both_approved_ends_within_a_leap_second", lambda story: _acts(
    story, valid_until="2026-06-30T23:59:60Z"))
approving("what_both_approved_ends_with_the_last_year", lambda story: _acts(
    story, valid_until="9999-12-31T23:59:59.999Z"), ACCEPTED)
approving("an_act_that_was_signed_has_another_type", lambda story: _acts(story, type="approval/v2"))
approving("an_act_that_was_signed_has_another_member", lambda story: _acts(story, note=1))
approving("an_act_that_was_signed_has_a_number_of_54_bits", lambda story: _acts(story, version=1 << 53))
approving("an_approval_has_another_member", lambda story: _sign(story, *BOTH, note=1))
approving("an_approval_was_accepted_at_a_number", lambda story: _sign(story, *BOTH, at=1))
approving("an_approval_is_a_list", lambda story: story.record("directive.approve", "approval", []))
approving("a_header_has_another_type", lambda story: _sign(
    story, *BOTH, header=b'{"alg":"EdDSA","kid":"iris","typ":"JWT"}'))
approving("a_header_is_longer_than_a_signature_may_be", lambda story: _sign(
    story, "iris", header=b'{"alg":"EdDSA","kid":"iris","typ":"exeat-approval+jws"}' + b" " * 400))


@desk("desk")
def an_act_takes_force_before_it_is_approved(story: Desk) -> None:
    story.file(FIRST)
    story.put("directive.apply", FIRST)
    _sign(story, *BOTH)


@desk("desk")
def an_act_is_approved_before_it_is_filed(story: Desk) -> None:
    _sign(story, *BOTH)
    story.file(FIRST)
    story.put("directive.apply", FIRST)


@desk("desk")
def what_is_filed_is_another_document_than_was_signed(story: Desk) -> None:
    story.file(FIRST, status_since=BINDS)
    _sign(story, *BOTH)
    story.put("directive.apply", FIRST)


@desk("desk")
def what_takes_force_is_another_document_than_was_approved(story: Desk) -> None:
    story.approve(FIRST)
    story.put("directive.apply", directive(obligations=["record"]))


@desk("desk")
def approvals_are_used_again_for_the_next_version(story: Desk) -> None:
    story.govern()
    story.file(directive(version=2, status="stayed"))
    story.put("directive.stay", directive(version=2, status="stayed"))


@desk("desk")
def approvals_to_apply_are_used_to_lift(story: Desk) -> None:
    story.govern()
    story.approve(directive(version=2, status="lifted"))
    story.put("directive.lift", directive(version=2, status="lifted"))


@desk("desk")
def an_act_on_a_license_is_approved_and_one_on_a_directive_takes_force(story: Desk) -> None:
    story.govern()
    story.approve(license_of())
    story.put("directive.apply", FIRST, license_of())


@desk("desk")
def the_desk_asks_for_more_than_signed(story: Desk) -> None:
    story.approve(FIRST)
    story.policy({"actor": "process:config", "approvals": 3})
    story.put("directive.apply", FIRST)


@desk(ACCEPTED)
def the_desk_asks_for_one_more_than_takes_two(story: Desk) -> None:
    story.approve(FIRST)
    story.policy({"actor": "process:config", "approvals": 1})
    story.put("directive.apply", FIRST)


# What changes with an act, and without one.

def changing(name: str, check: str, code: Any, *documents: Document) -> None:
    """Adds a log in which these take force where the first directive is and its successor was approved."""
    def tell(story: Desk) -> None:
        story.govern()
        story.approve(successor())
        story.put(code, *documents)

    telling(name, check, tell)


changing("a_successor_takes_force", ACCEPTED, "directive.apply", FIRST, successor())
changing("a_successor_takes_force_and_the_first_ends_when_it_binds", ACCEPTED, "directive.apply", FIRST, superseded(),
         successor())
changing("a_license_takes_force_along_with_a_directive", "desk", "directive.apply", FIRST, successor(), license_of())
changing("a_directive_takes_force_along_with_another", "desk", "directive.apply", FIRST, successor(),
         directive("DIR-3"))
changing("a_version_takes_the_place_of_another_along_with_an_act", "desk", "directive.apply", directive(version=2),
         successor())
changing("a_document_is_changed_along_with_an_act", "desk", "directive.apply", directive(status="stayed"), successor())
changing("a_document_is_taken_away_along_with_an_act", "desk", "directive.apply", successor())
changing("the_first_ends_before_its_successor_binds", "desk", "directive.apply", FIRST,
         superseded(status_since=SPOKE), successor())
changing("the_first_ends_otherwise_than_superseded", "desk", "directive.apply", FIRST, superseded(status="lifted"),
         successor())
changing("the_first_ends_and_says_something_else", "desk", "directive.apply", FIRST,
         superseded(evidence={"min_assurance": "ial1", "max_age_hours": 24}), successor())
for _name, _code in {"config_load": "config.load", "config_reload": "config.reload", "a_filing": "directive.file",
                     "an_act_on_a_person": "person.apply", "no_code": None, "three_words": "directive.apply.x"}.items():
    changing(f"{_name}_leaves_what_is_in_force", ACCEPTED, _code, FIRST)
    changing(f"{_name}_puts_a_license_in_force", "desk", _code, FIRST, license_of())
    changing(f"{_name}_puts_in_force_what_was_approved", "desk", _code, FIRST, successor())
    changing(f"{_name}_takes_away_what_is_in_force", "desk", _code)


def ending(name: str, check: str, other: Document, **end: Any) -> None:
    """Adds a log in which the first directive ends by another."""
    def tell(story: Desk) -> None:
        story.govern()
        story.approve(other)
        story.put("directive.apply", FIRST, superseded(**end), other)

    telling(name, check, tell)


ending("a_directive_ends_when_the_grace_of_another_is_over", ACCEPTED, successor(grace_minutes=90),
       status_since="2026-06-20T01:30:00Z")
ending("a_directive_ends_before_the_grace_of_another_is_over", "desk", successor(grace_minutes=90))
ending("a_directive_ends_when_another_speaks_after_it_binds", ACCEPTED, successor(status_since="2026-06-25T00:00:00Z"),
       status_since="2026-06-25T00:00:00Z")
ending("a_directive_ends_by_one_that_does_not_name_it", "desk", directive("DIR-2"), status_since=SPOKE)
ending("a_directive_ends_by_one_that_is_stayed", "desk", successor(status="stayed"))


def licenses(name: str, check: str, at: str) -> None:
    """Adds a log in which a license ends by another that is good from June 20."""
    def tell(story: Desk) -> None:
        story.govern()
        story.approve(license_of())
        story.put("license.apply", FIRST, license_of())
        other = license_of("LIC-10", supersedes="LIC-9", valid={"from": BINDS, "to": None})
        story.approve(other)
        end = license_of(version=2, status="superseded", status_since=at)
        # In order of id, as a snapshot has them.
        story.put("license.apply", FIRST, other, license_of(), end)

    telling(name, check, tell)


licenses("a_license_ends_when_another_is_good", ACCEPTED, BINDS)
licenses("a_license_ends_before_another_is_good", "desk", SPOKE)


@desk("desk")
def a_directive_is_in_force_from_the_first_snapshot_on(story: Desk) -> None:
    draft = next(one for one in story.drafts if one.kind == 6)
    first = story.put("config.load", FIRST)
    story.drafts.remove(first)
    story.drafts[story.drafts.index(draft)] = first
    first.time = draft.time


def waiting(name: str, check: str, at: str, after: int, keep: bool = False) -> None:
    """Adds a log in which a version that speaks from some time on takes the place of the first."""
    def tell(story: Desk) -> None:
        story.govern()
        document = directive(version=2, status_since=at)
        story.approve(document)
        story.put("directive.apply", *([FIRST] if keep else []), document, after=after)

    telling(name, check, tell)


waiting("a_version_is_taken_away_before_the_next_speaks", "desk", BINDS, 10)
waiting("a_version_stays_until_the_next_speaks", ACCEPTED, BINDS, 10, keep=True)
waiting("a_version_is_taken_away_just_before_the_next_speaks", ACCEPTED, second(T0 + 19_000), 9_000)


# Breaks of the glass.

def broken(name: str, check: str, tell: Callable[[Desk], Any]) -> None:
    """Adds a log in which the first directive is in force before what is told."""
    def whole(story: Desk) -> None:
        story.govern()
        tell(story)

    telling(name, check, whole)


STAYED = directive(version=2, status="stayed")


def _stayed(story: Desk, version: int = 2, restore: Any = FIRST, **more: Any) -> None:
    story.glass(version, restore, **more)
    story.put("directive.stay", STAYED)


def _back(*documents: Document, **more: Any) -> Callable[[Desk], None]:
    def tell(story: Desk) -> None:
        _stayed(story, **more)
        story.put("directive.restore", *documents)
    return tell


def _ended(story: Desk) -> None:
    _stayed(story)
    story.glass(2, FIRST, ended={"at": SPOKE, "why": "limit"})
    story.put("directive.restore", directive(version=3))


def _approved_back(story: Desk) -> None:
    story.approve(directive(version=2), "restore")
    story.put("directive.restore", directive(version=2))


def _outdated(after: int) -> Callable[[Desk], None]:
    """Puts back a version that was lifted, by a break of the glass for the next."""
    def tell(story: Desk) -> None:
        lifted = directive(version=2, status="lifted", status_since=second(story.at))
        story.approve(lifted, "lift")
        story.put("directive.lift", FIRST, lifted)
        story.glass(3, None)
        story.put("directive.stay", directive(version=3, status="stayed"), directive(version=4), after=after)
    return tell


broken("the_glass_is_broken_for_a_stay", ACCEPTED, _stayed)
broken("the_glass_is_broken_for_a_stay_after_which_nothing_comes_back", ACCEPTED, lambda story: _stayed(
    story, restore=None))
broken("the_glass_is_broken_for_another_version", "desk", lambda story: _stayed(story, version=3))
broken("the_glass_is_broken_for_another_directive", "desk", lambda story: _stayed(story, name="DIR-2"))
broken("the_glass_is_broken_for_a_license", "desk", lambda story: _stayed(story, kind="license"))
broken("the_glass_was_broken_and_that_ended", "desk", lambda story: (
    story.glass(2, FIRST), story.glass(2, FIRST, ended="replaced"), story.put("directive.stay", STAYED)))
broken("what_an_act_replaced_comes_back", ACCEPTED, _back(directive(version=3)))
broken("what_an_act_replaced_comes_back_from_now_on", ACCEPTED, _back(directive(version=3, status_since=second(T0))))
broken("something_else_comes_back_than_was_replaced", "desk", _back(directive(version=3, obligations=["record"])))
broken("something_comes_back_where_nothing_was_to", "desk", _back(directive(version=3), restore=None))
broken("something_comes_back_after_the_glass_was_mended", "desk", _ended)
broken("something_comes_back_without_a_break_of_the_glass", "desk", lambda story: story.put(
    "directive.restore", directive(version=2)))
broken("something_comes_back_because_both_approved_it", "desk", _approved_back)
broken("what_is_outdated_comes_back_as_if_it_had_waited", "desk", _outdated(10_000))
broken("what_is_outdated_for_less_than_a_step_may_wait_on", ACCEPTED, _outdated(9_000))
broken("what_comes_back_is_no_document", "desk", lambda story: story.glass(2, "DIR-1"))  # type: ignore[arg-type]
broken("the_glass_is_broken_for_no_version", "desk", lambda story: story.glass("2", None))  # type: ignore[arg-type]
broken("a_break_of_the_glass_does_not_say_what_comes_back", ACCEPTED, lambda story: respelled(
    story.glass(2, None), lambda text: text.replace(b'"restore":null,', b"")))


# What is withheld.

def withholding(name: str, check: str, kind: int, code: str, *documents: Document, act: str = "directive.apply",
                **fields: Any) -> None:
    """Adds a log that withholds an entry of a code before documents take force that nobody approved."""
    def tell(story: Desk) -> None:
        story.govern()
        draft = story.add(kind, body={10: code}, fields=fields.get("fields", {1: b"{}"}))
        story.withheld = lambda one: one is draft
        story.put(act, *documents)

    telling(name, check, tell, *WITHHELD)


withholding("after_an_entry_of_the_desk_is_withheld_no_act_is_judged", ACCEPTED, 8, "approver.add", successor())
withholding("after_a_filing_is_withheld_no_act_is_judged", ACCEPTED, 7, "directive.file", successor())
withholding("after_an_entry_of_the_desk_is_withheld_others_change_nothing", "desk", 8, "approver.add", successor(),
            act="config.load")
withholding("an_entry_of_another_kind_is_withheld_and_acts_are_judged", "desk", 7, "approver.add", FIRST, successor())
withholding("an_entry_of_others_is_withheld_and_acts_are_judged", "desk", 8, "token.issue", FIRST, successor())
withholding("an_entry_of_the_desk_without_a_private_part_withholds_nothing", "desk", 8, "approver.add", FIRST,
            successor(), fields={})


def _withheld_snapshot(*documents: Document, twice: bool = False) -> Callable[[Desk], None]:
    def tell(story: Desk) -> None:
        story.govern()
        drafts = [story.put("config.load", FIRST) for _ in range(1 + twice)]
        story.withheld = lambda one: one in drafts
        story.put("config.load", *documents)
        story.put("config.load", FIRST)
    return tell


telling("after_a_snapshot_is_withheld_one_is_taken_as_it_is", ACCEPTED, _withheld_snapshot(FIRST), *WITHHELD)
telling("after_two_snapshots_are_withheld_one_is_taken_as_it_is", ACCEPTED, _withheld_snapshot(FIRST, twice=True),
        *WITHHELD)
telling("the_second_after_a_snapshot_is_withheld_is_judged", "desk", _withheld_snapshot(), *WITHHELD)


# What the desk says, spelled otherwise.

def spelling(name: str, old: bytes, new: bytes, check: str = "desk", entry: Any = None) -> None:
    """Adds a log in which the entry that registers somebody, or another, is spelled otherwise."""
    def tell(story: Desk) -> None:
        draft = story.approver("otto") if entry is None else entry(story)
        respelled(draft, lambda text: text.replace(old, new, 1))
        story.govern()

    telling(name, check, tell)


spelling("a_member_of_an_envelope_stands_twice", b'"actor"', b'"version":4,"actor"')
spelling("a_member_of_an_approver_stands_twice", b'"role"', b'"role":"counsel","role"')
spelling("an_envelope_has_another_member", b'"actor"', b'"note":1,"actor"')
spelling("an_envelope_has_no_version", b'"version":4,', b"")
spelling("a_change_has_another_member", b'"record"', b'"note":1,"record"')
spelling("the_version_of_an_envelope_is_less_than_nothing", b":4,", b":-4,")
spelling("the_version_of_an_envelope_is_a_fraction", b":4,", b":4.0,")
spelling("an_approver_has_a_number_that_is_none", b'"created_at"', b'"note":NaN,"created_at"')
spelling("an_approver_has_half_of_a_pair", b'"created_at"', b'"note":"\\ud800","created_at"')
spelling("what_the_desk_says_is_no_object", b"{", b"[{")
spelling("what_the_desk_says_ends_too_early", b"}}}", b"}}")
spelling("the_role_of_an_approver_is_a_number", b'"security"', b"1")
spelling("the_day_of_a_revocation_is_a_number", b'"revoked_at":null', b'"revoked_at":1')
spelling("an_approver_has_another_member", b'"role"', b'"note":{"a":[1]},"role"', ACCEPTED)
spelling("a_member_of_an_approver_has_a_name_that_means_much_to_a_library", b'"role"',
         b'"note":{"$serde_json::private::RawValue":"["},"role"', ACCEPTED)
spelling("an_approver_has_as_many_arrays_in_one_another_as_it_may", b'"role"', b'"note":' + b"[" * 124 + b"]" * 124 +
         b',"role"', ACCEPTED)
spelling("an_approver_has_more_arrays_in_one_another_than_it_may", b'"role"', b'"note":' + b"[" * 125 + b"]" * 125 +
         b',"role"')
spelling("an_approver_is_not_said_to_be_revoked", b',"revoked_at":null', b"", ACCEPTED)
spelling("an_approver_has_no_key", b'"public_key"', b'"private_key"')
spelling("a_record_is_of_others", b'"approver"', b'"hold"', ACCEPTED)
spelling("an_entry_of_the_desk_is_no_envelope", b'"change"', b'"chance"', ACCEPTED)
spelling("the_desk_does_not_say_how_many_it_asks_for", b"approvals", b"approval", entry=lambda story: story.policy(
    {"actor": "process:config", "approvals": 2}))
spelling("the_desk_asks_for_a_text", b":2", b':"2"', entry=lambda story: story.policy({"approvals": 2}))
spelling("the_desk_says_more_than_how_many_it_asks_for", b"{", b'{"change":1,', ACCEPTED,
         lambda story: story.policy({"approvals": 2}))
spelling("what_is_filed_has_no_id", b'"id"', b'"name"', entry=lambda story: story.file(FIRST))
spelling("what_is_filed_has_no_version", b'"version":1,', b"", entry=lambda story: story.file(FIRST))
spelling("what_is_filed_has_a_number_of_54_bits", b'"version":1,', b'"version":9007199254740992,', ACCEPTED,
         entry=lambda story: story.file(FIRST))
spelling("what_is_filed_has_a_number_of_53_bits", b'"version":1,', b'"version":9007199254740991,', ACCEPTED,
         entry=lambda story: story.file(FIRST))


def _wrapped(text: bytes) -> bytes:
    said = json.loads(text)
    said["change"]["body"] = {"$serde_json::private::RawValue": json.dumps(said["change"]["body"])}
    return json.dumps(said, separators=(",", ":")).encode()


@desk("desk")
def an_approver_is_the_text_of_one_under_a_name_that_means_much_to_a_library(story: Desk) -> None:
    respelled(story.approver("otto"), _wrapped)
    story.govern()


# Documents that have no canonical spelling: nobody can approve them.

UNSIGNABLE = license_of(conditions={"token_caps": [{"tokens": 1 << 53, "per": "month"}]})


@desk(ACCEPTED, needs=0)
def a_license_that_nobody_can_sign_takes_force_where_no_approval_is_asked_for(story: Desk) -> None:
    story.put("directive.apply", FIRST)
    story.file(UNSIGNABLE)
    story.put("license.apply", FIRST, UNSIGNABLE)


@desk("desk")
def a_license_that_nobody_can_sign_was_approved(story: Desk) -> None:
    story.govern()
    story.approve(UNSIGNABLE)


@desk("desk")
def a_license_that_nobody_can_sign_takes_force_where_approvals_are_asked_for(story: Desk) -> None:
    story.govern()
    story.put("license.apply", FIRST, UNSIGNABLE)


# Custody entries.

def custody(name: str, check: str, change: Callable[[Desk], Any], by: Dict[str, str]) -> None:
    """Adds a log in which these people, who sign with these keys, approved a production."""
    def tell(story: Desk) -> None:
        change(story)
        digest = sha(canonical(SELECTION)).hex()
        act = story.act("produce", {"type": "production/v1", "id": "PRD-1", "version": 1}, document_sha256=digest)
        said = {"actor": "token:records", "selection": SELECTION, "approvals": [
            signature(who, act, key=key) for who, key in by.items()]}
        story.add(8, body={10: "custody.export"}, fields={1: json.dumps(said).encode()})

    telling(name, check, tell)


custody("approvers_of_the_log_approved_a_production", ACCEPTED, lambda story: None, {"iris": "iris", "otto": "otto"})
custody("one_approver_of_the_log_approved_a_production", "custody", lambda story: None, {"iris": "iris"})
custody("a_stranger_approved_a_production", "desk", lambda story: story.approver("otto", revoked=SPOKE), {
    "iris": "iris", "otto": "otto"})
custody("an_approver_of_a_production_has_another_key", "desk", lambda story: None, {"iris": "iris", "otto": "eve"})


@desk("desk")
def a_signature_has_a_header_that_nobody_wrote_so(story: Desk) -> None:
    story.file(FIRST)
    approval = signature("iris", story.act("apply", FIRST))
    story.record("directive.approve", "approval", {**approval, "jws": b64url(b"{}") + approval["jws"][-88:]})
