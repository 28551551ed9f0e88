"""Who is named: every combination of what two parties can show, and what liars try."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations, product

import pytest

from wmx.disputes.decision import (
    Case,
    Lack,
    Mark,
    Nearer,
    Original,
    compare,
    compare_all,
    leader,
    objections,
)
from wmx.disputes.explanations import reasons
from wmx.disputes.lineage import Lineage
from wmx.protocol.dating import UNDATED, Dating

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def at(minutes: float, accuracy: float = 1.0) -> Dating:
    return Dating(
        NOON + timedelta(minutes=minutes), "CN=root", accuracy=timedelta(minutes=accuracy)
    )


def clean(name: str, dating: Dating, file: str = "") -> Original:
    """A model with its party's mark alone; a and b are the only parties."""
    return signed(name, dating, (Mark.carried, Mark.lacking), file)


def both(name: str, dating: Dating = UNDATED) -> Original:
    return signed(name, dating, (Mark.carried, Mark.carried), "both")


def signed(name: str, dating: Dating, marks: tuple[Mark, Mark] | None, file: str = "") -> Original:
    """A model of a or b with the own mark and the other's as said; not shown if ``None``."""
    other = {"a": "b", "b": "a"}[name]
    held = None if marks is None else {name: marks[0], other: marks[1]}
    identity = f"{name} {file or dating.time}"
    return Original(f"{name}.onnx", identity, dating, held, made=dating if dating.time else LAST)


def outcome(*cases: Case, found: Dating = UNDATED, nearer: Nearer | None = None) -> str | None:
    return leader(cases, compare_all(cases, found, nearer or {}))


def towards(one: Original, *others: Original) -> Nearer:
    return {frozenset((one.identity, other.identity)): one.identity for other in others}


FOUND, LAST = at(20), at(50)  # LAST: when undated records were made, by their party's own word
OLD, LATE = clean("a", at(0)), clean("b", at(40))
OWNER, THIEF = Case("a", originals=(OLD,)), Case("b", at(10), (LATE,))
DECIDED = towards(OLD, LATE)


# what decides


def test_the_owner_is_named_whose_original_is_older_than_the_suspect_and_the_others_younger() -> (
    None
):
    assert outcome(OWNER, THIEF, found=FOUND, nearer=DECIDED) == "a"


def test_date_without_lineage_names_nobody() -> None:
    assert outcome(OWNER, THIEF, found=FOUND) is None
    assert outcome(OWNER, THIEF, found=FOUND, nearer=towards(LATE, OLD)) is None


def test_whoever_signs_a_model_with_both_marks_as_his_own_has_no_original() -> None:
    for dating in (UNDATED, at(10), at(40)):
        thief = Case("b", originals=(both("b", dating),))
        assert outcome(OWNER, thief) == "a"
        assert outcome(OWNER, thief, found=FOUND) == "a"
    assert outcome(OWNER, Case("b", originals=(both("b", at(0)),))) is None
    assert outcome(OWNER, Case("b", originals=(both("b", at(-10)),))) is None


def test_one_party_is_no_dispute() -> None:
    assert outcome(OWNER, found=FOUND) is None


# what each condition is for: without it somebody could be named who is a thief


def lacks(one: Case, other: Case, found: Dating = FOUND, nearer: Nearer = DECIDED) -> list[Lack]:
    return [one.lack for one in compare(one, other, found, nearer).obstacles["a"]]


def test_an_older_claim_names_nobody_and_keeps_others_from_being_named() -> None:
    """A claim fits any model: a thief stamps one years ahead."""
    older = Case("b", claim=at(-1000))
    assert outcome(Case("a", claim=at(0)), older, found=FOUND) is None
    assert outcome(OWNER, older, found=FOUND) is None
    assert lacks(OWNER, replace(THIEF, claim=at(-1000))) == [Lack.older_claim]
    assert lacks(OWNER, replace(THIEF, claim=at(1))) == [Lack.older_claim]  # may be older
    assert lacks(OWNER, replace(THIEF, claim=at(10))) == []


def test_silence_names_nobody() -> None:
    assert lacks(OWNER, Case("b")) == [Lack.silence]
    blank = signed("b", at(40), (Mark.lacking, Mark.lacking))
    assert lacks(OWNER, Case("b", originals=(blank,))) == [Lack.silence]


def test_a_record_whose_model_is_not_shown_or_cannot_be_asked_names_nobody() -> None:
    assert lacks(OWNER, Case("b", originals=(signed("b", at(40), None),))) == [Lack.not_shown]
    for own, others in product(Mark, Mark):
        if Mark.unclear in (own, others) and own is not Mark.lacking:
            unclear = signed("b", at(40), (own, others))
            assert lacks(OWNER, Case("b", originals=(unclear,))) == [Lack.unclear]


def test_an_earlier_record_that_is_left_out_names_nobody() -> None:
    assert lacks(OWNER, replace(THIEF, withholds=True)) == [Lack.withheld]


def test_an_undated_original_of_the_other_may_be_as_old_as_it_likes() -> None:
    assert lacks(OWNER, replace(THIEF, originals=(clean("b", UNDATED),))) == [Lack.undated]


def test_an_original_older_than_the_suspect_counts_whatever_lineage_says() -> None:
    """The suspect can have two parents: an old model of one's own, and a stolen one."""
    for minutes in (-10, 0, 10, 20, 21.5):
        honest = clean("b", at(minutes))
        nearer = towards(OLD, honest)
        assert Lack.older_than_suspect in lacks(
            OWNER, Case("b", originals=(honest,)), nearer=nearer
        )
        one_of_two = Case("b", originals=(honest, LATE))
        assert outcome(OWNER, one_of_two, found=FOUND, nearer=nearer | DECIDED) is None


def test_a_suspect_without_a_date_may_be_younger_than_every_original() -> None:
    assert lacks(OWNER, THIEF, found=UNDATED) == [Lack.suspect_undated]


def test_the_own_original_has_to_be_older_than_the_suspect() -> None:
    for minutes in (18.5, 20, 30):
        late = clean("a", at(minutes))
        thief = replace(THIEF, claim=at(35))
        found = lacks(Case("a", originals=(late,)), thief, nearer=towards(late, LATE))
        assert found == [Lack.suspect_not_later]


@pytest.mark.parametrize("own", Mark)
@pytest.mark.parametrize("others", Mark)
def test_an_own_original_carries_the_own_mark_alone(own: Mark, others: Mark) -> None:
    owner = Case("a", originals=(signed("a", at(0), (own, others)),))
    nearer = towards(owner.originals[0], LATE)
    thief = replace(THIEF, originals=(*THIEF.originals, both("b")))
    is_clean = (own, others) == (Mark.carried, Mark.lacking)
    assert outcome(owner, thief, found=FOUND, nearer=nearer) == ("a" if is_clean else None)


def test_stamps_are_in_order_only_beyond_what_both_may_be_off() -> None:
    for minutes, order in ((21, False), (22, False), (22.01, True)):
        late = clean("b", at(minutes))
        thief = replace(THIEF, originals=(late,))
        found = outcome(OWNER, thief, found=FOUND, nearer=towards(OLD, late))
        assert found == ("a" if order else None)


# what liars try; a is the owner, b the thief, who chooses all that is not fixed


ELSEWHERE = (at(-1000), at(5), at(40))  # before the owner's original, between, after the suspect


def choices(name: str) -> Iterator[tuple[Original, ...]]:
    """Everything that a party can sign: up to two models, of any kind and date."""
    kinds = (None, *product(Mark, Mark))
    one = [
        signed(name, dating, marks, f"{marks} {dating.time}")
        for dating in (UNDATED, *ELSEWHERE)
        for marks in kinds
    ]
    yield ()
    yield from ((original,) for original in one)
    yield from product(one[::3], one[::4])


def lineages(owner: Case, thief: Case) -> list[Nearer]:
    """Nothing decided, all for the owner, all for the thief: the thief chooses the suspect."""
    pairs = list(product(owner.originals, thief.originals))
    return [
        {},
        {frozenset((a.identity, b.identity)): a.identity for a, b in pairs},
        {frozenset((a.identity, b.identity)): b.identity for a, b in pairs},
    ]


@pytest.mark.parametrize("claimed", [UNDATED, at(-2000), at(-500)])
@pytest.mark.parametrize("found", [UNDATED, at(5), at(20), at(60)])
def test_a_thief_is_never_named_against_a_release_dated_before_the_model_was_given_away(
    claimed: Dating, found: Dating
) -> None:
    """The suspect has the owner's mark, so it is younger than his record, whoever dates it.

    The owner's model cannot carry the thief's mark.  The thief chooses all else: older models of
    his own, washed ones, tables, dates, claims, and to which original the suspect is nearer.
    """
    owner = Case("a", originals=(clean("a", at(0)),))
    seen = set()
    for originals in choices("b"):
        thief = Case("b", claimed, originals)
        for nearer in lineages(owner, thief):
            seen.add(outcome(owner, thief, found=found, nearer=nearer))
    assert seen == {"a", None}


@pytest.mark.parametrize(
    "shown",
    [
        (),  # he has no release at all
        (clean("a", UNDATED),),  # a record without a date
        (signed("a", at(40), None),),  # one whose model is lost
    ],
)
def test_a_thief_is_never_named_against_an_owner_who_has_nothing_dated(
    shown: tuple[Original, ...],
) -> None:
    owner = Case("a", originals=shown)
    for originals in choices("b"):
        thief = Case("b", at(-1000), originals)
        for found, nearer in product((UNDATED, at(20), at(60)), lineages(owner, thief)):
            assert outcome(owner, thief, found=found, nearer=nearer) != "b"


def test_an_early_checkpoint_stamped_before_the_owners_release_names_nobody() -> None:
    """The claim was made before training began, and so before every checkpoint."""
    owner = Case("a", at(-100), (clean("a", at(50)),))
    thief = Case("b", at(-1000), (clean("b", at(0)),))
    nearer = towards(thief.originals[0], owner.originals[0])
    assert outcome(owner, thief, found=FOUND, nearer=nearer) is None
    late = replace(owner, claim=at(10))  # docs/disputes.md, "What is left"
    assert outcome(late, thief, found=FOUND, nearer=nearer) == "b"
    alike: Nearer = {}  # nor is a checkpoint that is hardly changed to be told from its successor
    assert outcome(late, thief, found=FOUND, nearer=alike) is None


# what always holds

DATINGS = (UNDATED, at(0), at(40))
SIGNED = (
    (),
    *(
        (signed("a", dating, marks),)
        for dating in DATINGS
        for marks in (
            None,
            (Mark.carried, Mark.lacking),
            (Mark.carried, Mark.carried),
            (Mark.lacking, Mark.lacking),
            (Mark.carried, Mark.unclear),
        )
    ),
)


def mirrored(originals: tuple[Original, ...]) -> tuple[Original, ...]:
    swap = {"a": "b", "b": "a"}
    return tuple(
        Original(
            one.name,
            f"mirrored {one.identity}",
            one.dating,
            one.marks and {swap[name]: mark for name, mark in one.marks.items()},
            made=one.made,
        )
        for one in originals
    )


PAIRS = [
    (Case("a", claim_a, mine), Case("b", claim_b, mirrored(yours)))
    for claim_a, claim_b in product((UNDATED, at(5)), repeat=2)
    for mine, yours in product(SIGNED, SIGNED)
]


def all_pairs() -> Iterator[tuple[Case, Case, Dating, Nearer]]:
    for one, other in PAIRS:
        for found, nearer in product((UNDATED, FOUND), lineages(one, other)):
            yield one, other, found, nearer


def test_the_order_of_the_parties_and_their_names_are_of_no_account() -> None:
    swap = {"a": "b", "b": "a", None: None}
    names = set()
    for one, other, found, nearer in all_pairs():
        result = outcome(one, other, found=found, nearer=nearer)
        assert outcome(other, one, found=found, nearer=nearer) == result
        renamed = [Case(swap[c.name] or "", c.claim, _renamed(c)) for c in (one, other)]
        assert outcome(*renamed, found=found, nearer=nearer) == swap[result]
        names.add(result)
    assert names == {"a", "b", None}


def _renamed(case: Case) -> tuple[Original, ...]:
    return tuple(
        replace(new, identity=old.identity)
        for new, old in zip(mirrored(case.originals), case.originals, strict=True)
    )


def test_neither_can_be_ahead_of_the_other_at_once() -> None:
    for one, other, found, nearer in all_pairs():
        free = [
            name
            for name, lacking in compare(one, other, found, nearer).obstacles.items()
            if not lacking
        ]
        assert len(free) < 2


def test_leaving_out_what_one_has_oneself_gains_nothing() -> None:
    """Nor can a dispute be won by leaving out all that the other has."""
    for one, other, found, nearer in all_pairs():
        before = outcome(one, other, found=found, nearer=nearer)
        for less in (replace(one, originals=()), replace(one, claim=UNDATED)):
            assert outcome(less, other, found=found, nearer=nearer) in (None, "b", before)
        assert outcome(one, replace(other, originals=()), found=found, nearer=nearer) != "a"


@pytest.mark.slow
def test_leaving_out_a_date_or_having_a_file_stamped_anew_names_nobody_else() -> None:
    """Timestamps stand beside the signature: whoever runs the dispute chooses which are shown."""
    seen = set()
    for one, other, found, nearer in all_pairs():
        before = outcome(one, other, found=found, nearer=nearer)
        for dating, date_of_suspect in product((UNDATED, at(1000)), (found, UNDATED, at(1000))):
            for changed in product((False, True), repeat=2):
                cases = [
                    showing(case, dating) if is_changed else case
                    for case, is_changed in zip((one, other), changed, strict=True)
                ]
                after = outcome(*cases, found=date_of_suspect, nearer=nearer)
                if found.is_trusted or not date_of_suspect.is_trusted:
                    assert after in (None, before)
                seen.add(after)
    assert seen == {"a", "b", None}


def showing(case: Case, dating: Dating) -> Case:
    """Return what a party has signed, with another date where there was one."""
    return replace(
        case,
        originals=tuple(
            replace(one, dating=dating) if one.dating.is_trusted else one for one in case.originals
        ),
    )


@pytest.mark.parametrize("dating", [UNDATED, at(0), at(30), at(1000)])
@pytest.mark.parametrize("found", [UNDATED, at(5), at(20), at(60)])
def test_a_thief_who_shows_other_dates_of_the_owners_record_is_not_named(
    dating: Dating, found: Dating
) -> None:
    """The owner signed claim and record before the suspect was made, and states no later time."""
    original = replace(clean("a", dating), made=at(0))
    owner = Case("a", at(-5), (original,))
    for originals in choices("b"):
        thief = Case("b", at(10), originals)
        for nearer in lineages(owner, thief):
            assert outcome(owner, thief, found=found, nearer=nearer) != "b"


def test_an_owner_who_was_late_is_kept_by_the_time_that_their_claim_states() -> None:
    owner = Case("a", at(-5), (clean("a", at(40)),))
    thief = Case("b", at(-1000), (clean("b", at(0)),))
    nearer = towards(thief.originals[0], owner.originals[0])
    for claim in (owner.claim, UNDATED):
        found = compare(replace(owner, claim=claim), thief, FOUND, nearer)
        assert [one.lack for one in found.obstacles["b"]] == [Lack.older_claim]


def test_a_third_party_is_named_or_keeps_others_from_it_but_does_not_change_who() -> None:
    marks: Mapping[str, Mapping[str, Mark]] = {
        name: {other: Mark.carried if other == name else Mark.lacking for other in "abc"}
        for name in "abc"
    }
    stolen = dict.fromkeys("abc", Mark.carried)

    def case(name: str, dating: Dating | None, carried: Mapping[str, Mark]) -> Case:
        if dating is None:
            return Case(name)
        return Case(name, originals=(Original(name, f"{name}{dating}", dating, carried),))

    options = {
        name: [
            case(name, dating, carried)
            for dating in (None, at(0), at(40))
            for carried in (marks[name], stolen)
        ]
        for name in "abc"
    }
    for cases in product(*options.values()):
        originals = [original for one in cases for original in one.originals]
        for parent in originals:
            nearer = towards(parent, *(one for one in originals if one is not parent))
            (whole,) = {
                outcome(*order, found=FOUND, nearer=nearer) for order in permutations(cases)
            }
            pair = outcome(*cases[:2], found=FOUND, nearer=nearer)
            assert whole in (pair, None, "c")


def test_every_comparison_says_why_and_what_is_missing() -> None:
    for one, other, found, nearer in all_pairs():
        comparison = compare(one, other, found, nearer)
        asked = {
            frozenset((a.identity, b.identity)): Lineage(
                100, 50, {a.identity: 40, b.identity: 10}, bits=20.0, nearer=a.identity
            )
            for a, b in product(one.originals, other.originals)
        }
        said = reasons(comparison, {"a": one, "b": other}, found, asked)
        assert said
        if comparison.ahead is None:
            for name, lacking in comparison.obstacles.items():
                about = [text for text in said if text.startswith(f"{name} is not ahead: ")]
                asked_of = {(o.lack, o.original and o.original.identity) for o in lacking}
                assert len(about) == len(asked_of)
        else:
            assert said[0].startswith(f"{comparison.ahead}: its original")


# models of parties whose claims do not verify on the suspect: their marks may be erased

EARLIER, YOUNGER = at(10), at(30)  # than the suspect
BEST = [Original("a.onnx", "a", at(-20)), Original("a.onnx", "later a", at(-10))]
CLAIM_C = at(-5)  # younger than all of these


def against(
    *originals: Original,
    found: Dating = FOUND,
    claim: Dating = CLAIM_C,
    withholds: bool = False,
) -> list[str]:
    out = [Case("c", claim, originals, withholds)]
    return [one.original.name for one in objections(out, BEST, found)]


def of_another(mark: Mark | None, made: Dating, dating: Dating = UNDATED) -> Original:
    marks = None if mark is None else {"c": mark}
    return Original("c.onnx", f"c {made.time}", dating, marks, made=made)


@pytest.mark.parametrize("mark", [Mark.carried, Mark.unclear, None])
def test_a_model_from_which_the_suspect_may_be_made_names_nobody_else(mark: Mark | None) -> None:
    """However much older than it the originals of others are."""
    for made in (at(-1000), EARLIER, FOUND, UNDATED):
        assert against(of_another(mark, made)) == ["c.onnx"]
    assert against(of_another(mark, YOUNGER), of_another(mark, EARLIER)) == ["c.onnx"]
    assert against(of_another(mark, YOUNGER), found=UNDATED) == ["c.onnx"]


def test_a_younger_model_or_one_without_its_partys_mark_objects_to_nobody() -> None:
    assert against(of_another(Mark.carried, YOUNGER)) == []
    assert against(of_another(Mark.lacking, EARLIER)) == []
    assert against() == []


@pytest.mark.parametrize("claim", [at(-30), at(-15), at(-10), UNDATED])
def test_a_claim_that_is_not_younger_than_all_originals_of_the_leader_objects(
    claim: Dating,
) -> None:
    """They may be made from a marked model that was signed too late."""
    assert against(of_another(Mark.carried, YOUNGER), claim=claim) == ["c.onnx"]
    assert against(of_another(Mark.lacking, YOUNGER), claim=claim) == []


def test_no_date_that_is_shown_or_left_out_makes_it_younger() -> None:
    for dating in (UNDATED, at(-1), at(30)):
        assert against(of_another(Mark.carried, EARLIER, dating)) == ["c.onnx"]


def test_an_earlier_record_that_was_not_shown_objects_too() -> None:
    assert against(of_another(Mark.carried, YOUNGER), withholds=True) == ["c.onnx"]
