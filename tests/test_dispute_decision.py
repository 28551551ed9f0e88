"""Who is named: every combination of what two parties can show, and what liars try."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations, product

import pytest

from wmx.disputes.decision import Case, Mark, compare, compare_all, named
from wmx.disputes.reasons import reasons
from wmx.timestamp import UNDATED, Dating

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def dated(minutes: float, accuracy: float = 1.0) -> Dating:
    return Dating(
        NOON + timedelta(minutes=minutes), "CN=root", accuracy=timedelta(minutes=accuracy)
    )


DATINGS = (UNDATED, dated(0), dated(1.5), dated(10))
ORIGINALS = (None, *product(Mark, Mark))  # own mark, the other's


def case(name: str, other: str, dating: Dating, original: tuple[Mark, Mark] | None) -> Case:
    marks = None if original is None else {name: original[0], other: original[1]}
    return Case(name, dating, marks)


PAIRS = [
    (case("a", "b", dating_a, original_a), case("b", "a", dating_b, original_b))
    for dating_a, dating_b in product(DATINGS, DATINGS)
    for original_a, original_b in product(ORIGINALS, ORIGINALS)
]


def outcome(*cases: Case) -> str | None:
    return named(cases, compare_all(cases))


# what decides


def test_the_earlier_timestamp_decides() -> None:
    assert outcome(Case("a", dated(0)), Case("b", dated(10))) == "a"


def test_timestamps_that_may_be_off_by_more_than_they_are_apart_do_not() -> None:
    assert outcome(Case("a", dated(0)), Case("b", dated(1.5))) is None
    assert outcome(Case("a", dated(0)), Case("b", dated(2))) is None  # just touching
    assert outcome(Case("a", dated(0)), Case("b", dated(2.01))) == "a"
    assert outcome(Case("a", dated(0)), Case("b", dated(0))) is None


def test_a_single_timestamp_decides_nothing() -> None:
    for minutes in (0, 10):
        assert outcome(Case("a", dated(minutes)), Case("b", UNDATED)) is None


def test_an_original_that_carries_the_others_mark_decides_against_a_clean_one() -> None:
    clean = case("a", "b", UNDATED, (Mark.carried, Mark.lacking))
    for mark in Mark:
        other = case("b", "a", UNDATED, (Mark.carried, mark))
        assert outcome(clean, other) == ("a" if mark == Mark.carried else None)


@pytest.mark.parametrize("own", [Mark.lacking, Mark.unclear])
def test_an_original_without_its_own_mark_is_none(own: Mark) -> None:
    spoilt = case("b", "a", UNDATED, (own, Mark.carried))
    assert outcome(case("a", "b", UNDATED, (Mark.carried, Mark.lacking)), spoilt) is None
    clean = case("a", "b", UNDATED, (own, Mark.lacking))
    assert outcome(clean, case("b", "a", UNDATED, (Mark.carried, Mark.carried))) is None


def test_a_single_original_decides_nothing() -> None:
    clean = case("a", "b", UNDATED, (Mark.carried, Mark.lacking))
    assert outcome(clean, Case("b", UNDATED)) is None


def test_timestamps_and_originals_that_contradict_each_other_name_nobody() -> None:
    stolen = case("a", "b", dated(0), (Mark.carried, Mark.carried))
    clean = case("b", "a", dated(10), (Mark.carried, Mark.lacking))
    assert compare(stolen, clean).is_contradictory
    assert outcome(stolen, clean) is None


def test_one_party_is_no_dispute() -> None:
    assert outcome(Case("a", dated(0))) is None


# what liars try


@pytest.mark.parametrize("stamp", [UNDATED, dated(0)])
@pytest.mark.parametrize("kept", [None, (Mark.carried, Mark.lacking)])
def test_a_thief_is_named_whatever_he_shows_in_no_case(
    stamp: Dating, kept: tuple[Mark, Mark] | None
) -> None:
    """The owner's stamp is the earlier one, and his original cannot hold a mark made after it.

    All else is the thief's to choose: no stamp, one, a model with both marks, one that was trained
    from nothing with his own mark alone, one that lacks even that.
    """
    owner = case("owner", "thief", stamp, kept)
    later = [one for one in DATINGS if stamp is UNDATED or one is UNDATED or one.time != NOON]
    for dating, original in product(later, ORIGINALS):
        thief = case("thief", "owner", dating, original)
        assert outcome(owner, thief) in ("owner", None)


def test_a_model_made_for_the_purpose_only_blurs_what_originals_say() -> None:
    owner = case("owner", "thief", UNDATED, (Mark.carried, Mark.lacking))
    made = case("thief", "owner", UNDATED, (Mark.carried, Mark.lacking))
    assert outcome(owner, made) is None
    assert outcome(replace(owner, dating=dated(0)), replace(made, dating=dated(10))) == "owner"


# what always holds


def test_the_order_of_the_parties_is_of_no_account() -> None:
    for one, other in PAIRS:
        assert outcome(one, other) == outcome(other, one)
        assert compare(one, other) == compare(other, one)


def test_names_are_of_no_account() -> None:
    swap = {"a": "b", "b": "a"}

    def renamed(one: Case) -> Case:
        marks = one.original and {swap[name]: mark for name, mark in one.original.items()}
        return Case(swap[one.name], one.dating, marks)

    for one, other in PAIRS:
        found = outcome(one, other)
        assert outcome(renamed(one), renamed(other)) == (None if found is None else swap[found])


def test_leaving_something_out_makes_no_outcome_more_certain() -> None:
    """But where what is left out spoke against the rest: it is then no longer known."""
    for one, other in PAIRS:
        if compare(one, other).is_contradictory:
            continue
        before = outcome(one, other)
        for less in ({"dating": UNDATED}, {"original": None}):
            assert outcome(replace(one, **less), other) in (None, before)
            assert outcome(one, replace(other, **less)) in (None, before)


def test_a_third_party_that_is_behind_changes_nothing_and_none_is_named_in_the_others_place() -> (
    None
):
    def three(datings: tuple[Dating, ...], marks: Mapping[str, Mapping[str, Mark] | None]) -> None:
        cases = [
            Case(name, dating, marks[name]) for name, dating in zip("abc", datings, strict=True)
        ]
        found = {outcome(*order) for order in permutations(cases)}
        assert len(found) == 1
        (whole,) = found
        pair = outcome(*cases[:2])
        if pair is not None:
            winner = next(one for one in cases if one.name == pair)
            behind = compare(winner, cases[2]).ahead == pair
            assert whole == pair if behind else whole in (None, "c")
        elif whole is not None:
            assert whole == "c"

    clean = {
        name: {other: Mark.carried if other == name else Mark.lacking for other in "abc"}
        for name in "abc"
    }
    stolen = dict.fromkeys("abc", Mark.carried)
    choices = {name: (None, clean[name], stolen) for name in "abc"}
    for datings in product(DATINGS, repeat=3):
        for marks in product(*choices.values()):
            three(datings, dict(zip("abc", marks, strict=True)))


def test_every_comparison_says_why() -> None:
    for one, other in PAIRS:
        comparison = compare(one, other)
        found = reasons(comparison, [one, other])
        assert len(found) == (3 if comparison.is_contradictory else 2)
        assert found[0].startswith("timestamps: ")
        assert found[1].startswith("originals: ")
        assert ("is earlier" in found[0]) == (comparison.by_timestamps is not None)
        assert ("not the reverse" in found[1]) == (comparison.by_originals is not None)
