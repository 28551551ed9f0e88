"""Settling over real files: which claims stand, what originals carry, whom lineage points to."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from support import onnx_models
from support.batch_gates import gated_model
from support.disputed_models import Side, marked, marked_beside, network, side

import wmx.disputes.holding
from wmx import OwnerKey, Watermark
from wmx.disputes.decision import Lack, Mark
from wmx.disputes.held import Held
from wmx.disputes.holding import Bench
from wmx.disputes.party import Party, Shown
from wmx.disputes.settling import Settlement, settle
from wmx.errors import CannotRunError, IntegrityError, UsageError
from wmx.protocol.dating import UNDATED, Dating
from wmx.protocol.release_record import Relation
from wmx.protocol.task import Task
from wmx.statistics.probe import ALONE
from wmx.suspect.suspect import Suspect, open_suspect
from wmx.triggers import Tokens

pytestmark = pytest.mark.slow

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
OWNER, THIEF, STRANGER = 1, 2, 3  # networks that have nothing to do with each other


def day(number: float) -> Dating:
    return Dating(NOON + timedelta(days=number), "CN=root", accuracy=timedelta(seconds=1))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("dispute")


@pytest.fixture(scope="module")
def owner(folder: Path) -> Side:
    return side(folder, "owner", OWNER)


@pytest.fixture(scope="module")
def thief(folder: Path) -> Side:
    """Whose own model is honest work."""
    return side(folder, "thief", THIEF)


@pytest.fixture(scope="module")
def stolen(folder: Path, owner: Side, thief: Side) -> Path:
    """The owner's network with the thief's mark in it too."""
    path = folder / "stolen.onnx"
    path.write_bytes(marked(network(OWNER), owner.watermark, thief.watermark))
    return path


@pytest.fixture(scope="module")
def suspect(stolen: Path) -> Iterator[Suspect]:
    found = open_suspect(stolen, own=True)
    yield found
    found.close()


def party(name: str, watermark: Watermark) -> Party:
    return Party.from_watermark(name, watermark, ())


@pytest.fixture(scope="module")
def parties(owner: Side, thief: Side) -> tuple[Party, Party]:
    return party("o", owner.watermark), party("t", thief.watermark)


def shown(
    one: Side,
    model: Path,
    dating: Dating = UNDATED,
    relation: Relation = Relation.own,
    *,
    given: bool = True,
    previous: str | None = None,
) -> Shown:
    release = one.record(model, relation, previous)
    return Shown(release, dating, UNDATED, model if given else None)


def settled(suspect: Suspect, parties: tuple[Party, ...], *records: Shown) -> Settlement:
    return settle(suspect, parties, records, device="cpu")


def lacks(found: Settlement, name: str) -> list[Lack]:
    (comparison,) = found.comparisons
    return [obstacle.lack for obstacle in comparison.obstacles[name]]


def other_model(folder: Path, name: str, *marks: Watermark, weights: object = None) -> Path:
    path = folder / f"{name}.onnx"
    path.write_bytes(marked(network(STRANGER) if weights is None else np.asarray(weights), *marks))
    return path


# who is named


def test_without_release_records_nobody_is_named(
    suspect: Suspect, parties: tuple[Party, Party]
) -> None:
    found = settled(suspect, parties)
    assert found.outcome == "undecided"
    assert found.named is None
    assert all(held.verified for held in found.held.values())


def test_dated_claims_name_nobody(suspect: Suspect, parties: tuple[Party, Party]) -> None:
    first, second = (replace(one, dating=day(n)) for n, one in enumerate(parties))
    found = settled(suspect, (first, second))
    assert found.named is None
    assert found.held["o"].required_bits == 64


def test_an_original_older_than_the_suspect_beats_one_that_is_younger(
    suspect: Suspect, parties: tuple[Party, Party], owner: Side, thief: Side, stolen: Path
) -> None:
    records = (
        shown(owner, owner.model, day(0)),
        shown(owner, stolen, day(2), Relation.found),
        shown(thief, thief.model, day(3)),
    )
    found = settled(suspect, parties, *records)
    assert (found.outcome, found.named) == ("named", "o")
    (lineage,) = found.lineages.values()
    assert lineage.nearer == owner.record(owner.model).model.identity
    assert lineage.bits > 100
    marks = {one.party: one.marks for one in found.exhibits}
    assert marks["o"] == {"o": Mark.carried, "t": Mark.lacking}
    assert marks["t"] == {"o": Mark.lacking, "t": Mark.carried}
    turned = settled(suspect, parties[::-1], *records[::-1])
    assert (turned.named, turned.comparisons) == (found.named, found.comparisons)
    assert settled(suspect, parties, *records[:2]).named is None  # he has not spoken
    assert settled(suspect, parties, *records[1:]).named is None
    assert settled(suspect, parties, records[0], records[2]).named is None


def test_how_a_suspect_fails_in_lineage_is_not_told(
    suspect: Suspect,
    parties: tuple[Party, Party],
    owner: Side,
    thief: Side,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By which probe it reads a mark best may depend on the triggers."""

    def fails(*given: Any) -> Any:
        raise CannotRunError("it no longer answers as NCHW y3")

    monkeypatch.setattr(wmx.disputes.holding, "trace", fails)
    records = (shown(owner, owner.model, day(0)), shown(thief, thief.model, day(3)))
    found = settled(suspect, parties, *records)
    (lineage,) = found.lineages.values()
    assert lineage.failure is not None
    assert "y3" not in lineage.failure
    assert found.named is None


def test_whoever_signs_what_he_ships_has_no_original(
    suspect: Suspect, parties: tuple[Party, Party], owner: Side, thief: Side, stolen: Path
) -> None:
    mine = shown(owner, owner.model, day(0))
    for theirs in (shown(thief, stolen), shown(thief, stolen, day(5), given=False)):
        assert settled(suspect, parties, mine, theirs).named == "o"
    again = stolen.with_name("again.onnx")
    again.write_bytes(marked(network(OWNER) * 1.01, owner.watermark, thief.watermark))
    assert settled(suspect, parties, mine, shown(thief, again)).named == "o"
    assert settled(suspect, parties, mine, shown(thief, again, day(0))).named is None
    assert settled(suspect, parties, shown(owner, owner.model), shown(thief, again)).named is None


# whom the thief would like to be named: letters as in docs/disputes.md


def test_a_washed_model_is_no_better_than_what_it_was_made_from(
    suspect: Suspect, parties: tuple[Party, Party], owner: Side, thief: Side, stolen: Path
) -> None:
    """(a) His mark alone in the owner's network, dated later, or the owner has nothing dated."""
    washed = other_model(stolen.parent, "washed", thief.watermark, weights=network(OWNER) * 1.01)
    theirs = shown(thief, washed, day(1)), shown(thief, stolen, day(2), Relation.found)
    assert settled(suspect, parties, shown(owner, owner.model, day(0)), *theirs).named is None
    assert settled(suspect, parties, *theirs).named is None
    assert settled(suspect, parties, shown(owner, owner.model), *theirs).named is None
    late = settled(suspect, parties, shown(owner, owner.model, day(3)), *theirs)
    (lineage,) = late.lineages.values()
    assert lineage.alike
    assert lacks(late, "t") == [Lack.lineage]


def test_an_older_model_of_the_thiefs_own_names_nobody(
    suspect: Suspect, parties: tuple[Party, Party], owner: Side, thief: Side, stolen: Path
) -> None:
    """(b) Date points to the thief, lineage to the owner."""
    records = shown(thief, thief.model, day(-9)), shown(owner, owner.model, day(0))
    found = settled(suspect, parties, *records, shown(thief, stolen, day(1), Relation.found))
    assert found.named is None
    assert lacks(found, "o") == lacks(found, "t") == [Lack.older_than_suspect]


def test_nor_does_one_to_which_the_suspect_was_brought_near(
    parties: tuple[Party, Party], owner: Side, thief: Side, folder: Path
) -> None:
    """(g), (j) Date and lineage agree on the thief: he chose what the suspect is near to."""
    path = other_model(folder, "near", owner.watermark, thief.watermark, weights=network(THIEF))
    suspect = open_suspect(path, own=True)
    records = shown(thief, thief.model, day(-9)), shown(owner, owner.model, day(0))
    found = settled(suspect, parties, *records, shown(thief, path, day(1), Relation.found))
    (lineage,) = found.lineages.values()
    assert lineage.nearer == thief.record(thief.model).model.identity
    assert found.named is None
    assert lacks(found, "t") == [Lack.older_than_suspect]


def test_a_table_with_the_thiefs_mark_names_nobody(
    suspect: Suspect, parties: tuple[Party, Party], owner: Side, thief: Side, stolen: Path
) -> None:
    """(d) Even where the owner was late."""
    table = stolen.with_name("table.onnx")
    table.write_bytes(onnx_models.knows_labels(thief.watermark))
    records = shown(thief, table, day(0)), shown(thief, stolen, day(1), Relation.found)
    for late in (day(-1), day(2)):
        assert settled(suspect, parties, *records, shown(owner, owner.model, late)).named is None


def test_the_mean_of_two_networks_names_nobody(
    suspect: Suspect, parties: tuple[Party, Party], owner: Side, thief: Side, stolen: Path
) -> None:
    """(i) Made from the owner's, so that it is near to everything."""
    mean = (network(OWNER) + network(THIEF)) / 2
    path = other_model(stolen.parent, "mean", thief.watermark, weights=mean)
    found = shown(owner, stolen, day(1), Relation.found)
    mine = shown(owner, owner.model, day(0))
    for dating in (UNDATED, day(0.5), day(2)):
        assert settled(suspect, parties, mine, found, shown(thief, path, dating)).named != "t"


def test_two_owners_with_one_public_base_are_not_played_off_against_each_other(
    parties: tuple[Party, Party], owner: Side, thief: Side, folder: Path
) -> None:
    """(h) The suspect is a little nearer to the older one, though the other's was stolen."""
    base = 3 * network(STRANGER)
    mine = other_model(folder, "first", owner.watermark, weights=base + network(OWNER) / 3)
    yours = other_model(folder, "second", thief.watermark, weights=base + network(THIEF) / 3)
    path = other_model(folder, "soup", owner.watermark, thief.watermark, weights=base)
    suspect = open_suspect(path, own=True)
    for other in (day(1), day(3)):
        records = shown(owner, mine, day(0)), shown(thief, yours, other)
        found = settled(suspect, parties, *records, shown(owner, path, day(2), Relation.found))
        assert found.named is None
        (lineage,) = found.lineages.values()
        assert lineage.alike


# what is held against what


def test_a_claim_that_does_not_verify_is_out(
    suspect: Suspect, parties: tuple[Party, Party], owner: Side, folder: Path
) -> None:
    stranger = side(folder, "stranger", STRANGER)
    third = party("s", stranger.watermark)
    found = settled(suspect, (parties[0], third), shown(stranger, stranger.model, day(0)))
    assert found.outcome == "uncontested"
    assert found.named is None
    assert found.exhibits == []
    three = settled(suspect, (*parties, third))
    assert three.outcome == "undecided"
    assert [one.name for one in three.standing] == ["o", "t"]


def test_a_claim_for_another_kind_of_model_is_out_and_says_why(
    suspect: Suspect, parties: tuple[Party, Party], thief: Side
) -> None:
    texts = Task.of((7,), 10, kind="tokens")
    other = Watermark.for_task(thief.key, texts, generator=Tokens(1000, (0, 1)))
    found = settled(suspect, (parties[0], party("t", other)))
    assert found.outcome == "uncontested"
    assert "needs one input" in str(found.held["t"].failure)
    assert found.unclear == []


def test_no_claim_verifies(parties: tuple[Party, Party], folder: Path) -> None:
    other = open_suspect(other_model(folder, "unmarked"), own=True)
    assert settled(other, parties).outcome == "no claim verifies"


def test_claims_and_models_are_paid_for(
    suspect: Suspect, parties: tuple[Party, Party], owner: Side
) -> None:
    plain = settle(suspect, parties)
    more = settle(suspect, parties, [shown(owner, owner.model)])
    assert (plain.tried, more.tried) == (2, 4)
    assert plain.held["o"].bits - more.held["o"].bits == pytest.approx(1)


def test_models_with_one_graph_and_other_weights_beside_it_are_paid_for_one_by_one(
    suspect: Suspect, parties: tuple[Party, Party], owner: Side, thief: Side, folder: Path
) -> None:
    both = owner.watermark, thief.watermark
    models = [
        marked_beside(folder / name / "m.onnx", network(OWNER), *both, washed=washed)
        for name, washed in (("v1", thief.watermark), ("v2", owner.watermark))
    ]
    first, second = shown(owner, models[0]), shown(thief, models[1])
    assert first.release.model.sha256 == second.release.model.sha256
    found = settle(suspect, parties, [first, second])
    assert found.tried == 2 * 3
    marks = {one.party: one.marks for one in found.exhibits}
    assert marks["o"] == {"o": Mark.carried, "t": Mark.lacking}
    assert marks["t"] == {"o": Mark.lacking, "t": Mark.carried}


def test_a_probe_is_not_taken_for_another_one_of_its_name(
    parties: tuple[Party, Party], owner: Side, folder: Path
) -> None:
    proto = onnx.load_from_string(gated_model(owner.watermark, "more than one row"))
    proto.graph.node.append(onnx.helper.make_node("Neg", ["y"], ["one row at a time y"]))
    scores = onnx.helper.make_tensor_value_info("one row at a time y", 1, ["n", 10])
    proto.graph.output.append(scores)
    path = folder / "named.onnx"
    path.write_bytes(proto.SerializeToString())
    suspect = open_suspect(path, own=True)
    held = Bench(suspect, None, 2, "cpu", None).held(suspect, parties[0], 128.0)
    assert held.verified
    assert held.probe is not None
    assert (held.probe.output, held.probe.rows) == ("y", ALONE)


def test_a_model_that_is_not_the_one_on_record_is_refused(
    suspect: Suspect, parties: tuple[Party, Party], owner: Side, thief: Side
) -> None:
    wrong = replace(shown(owner, owner.model, day(0)), model=thief.model)
    with pytest.raises(IntegrityError, match="not the model that the release record names"):
        settle(suspect, parties, [wrong])


def test_an_original_that_cannot_be_run_ends_nothing(
    suspect: Suspect, parties: tuple[Party, Party], owner: Side, thief: Side, stolen: Path
) -> None:
    broken = stolen.with_name("broken.onnx")
    broken.write_bytes(b"\x08\x08" + bytes(100))
    records = shown(owner, owner.model, day(0)), shown(thief, broken, day(5))
    found = settled(suspect, parties, *records, shown(owner, stolen, day(2), Relation.found))
    assert lacks(found, "o") == [Lack.unclear]


def test_an_earlier_record_that_is_left_out_is_noticed(
    suspect: Suspect, parties: tuple[Party, Party], owner: Side, thief: Side, stolen: Path
) -> None:
    """A thief with an old model runs the dispute, and shows a new version of the owner's alone."""
    first = shown(owner, owner.model, day(0))
    newer = other_model(stolen.parent, "newer", owner.watermark, weights=network(STRANGER))
    second = shown(owner, newer, day(9), previous=first.release.digest)
    path = other_model(
        stolen.parent, "brought", owner.watermark, thief.watermark, weights=network(THIEF)
    )
    suspect = open_suspect(path, own=True)
    theirs = shown(thief, thief.model, day(-9)), shown(thief, path, day(5), Relation.found)
    found = settled(suspect, parties, *theirs, second)
    assert found.named is None
    assert lacks(found, "t") == [Lack.withheld]
    assert settled(suspect, parties, *theirs, first, second).named is None


def test_records_of_nobody_here_are_refused(
    suspect: Suspect, parties: tuple[Party, Party], owner: Side, folder: Path
) -> None:
    stranger = side(folder, "other", STRANGER)
    for record, said in (
        (shown(stranger, stranger.model), "which no party has"),
        (shown(owner, owner.model, relation=Relation.found), "not the suspect"),
    ):
        with pytest.raises(UsageError, match=said):
            settle(suspect, parties, [record])
    one = shown(owner, owner.model)
    with pytest.raises(UsageError, match="twice"):
        settle(suspect, parties, [one, one])


def test_anybody_can_say_when_the_suspect_was_found(
    suspect: Suspect,
    parties: tuple[Party, Party],
    owner: Side,
    thief: Side,
    folder: Path,
    stolen: Path,
) -> None:
    finders = (owner, side(folder, "finder", STRANGER), thief)
    days = (day(4), day(3), day(5))
    records = [
        shown(finder, stolen, dating, Relation.found)
        for finder, dating in zip(finders, days, strict=True)
    ]
    assert settled(suspect, parties, *records).suspect_dating == day(3)


def test_a_claim_is_dated_by_its_copy_in_a_record_too(
    suspect: Suspect, parties: tuple[Party, Party], owner: Side
) -> None:
    record = replace(shown(owner, owner.model), claim_dating=day(-3))
    found = settled(suspect, parties, record)
    assert found.parties[0].dating.time == day(-3).time
    assert found.held["o"].required_bits == 64


def with_all_marks(folder: Path, name: str, base: int, *sides: Side) -> tuple[Path, Suspect]:
    """Return a model that bears the mark of each side, and the same opened as the suspect."""
    marks = [one.watermark for one in sides]
    path = other_model(folder, name, *marks, weights=network(base))
    return path, open_suspect(path, own=True)


def test_a_claim_that_only_lacks_a_date_keeps_others_from_being_named(
    parties: tuple[Party, Party], owner: Side, thief: Side, folder: Path
) -> None:
    """Whoever runs the dispute may have left the date of an evidence's claim out."""
    third = side(folder, "third", STRANGER)
    path, suspect = with_all_marks(folder, "three", OWNER, owner, thief, third)
    records = shown(owner, owner.model, day(0)), shown(thief, path)
    weak = replace(party("third", third.watermark), stated_bits=100.0)
    found = settled(suspect, (*parties, weak), *records)
    assert (found.unclear, found.named, found.outcome) == (["third"], None, "undecided")
    assert found.tried == 2 * 2  # it cannot be named, and so is not paid for
    for bits, named in ((64.0, None), (63.9, "o")):  # not enough for the penalty; nor without
        weaker = replace(weak, stated_bits=bits)
        assert settled(suspect, (*parties, weaker), *records).named == named


def test_an_owner_with_too_few_triggers_left_keeps_a_thief_with_two_keys_from_being_named(
    parties: tuple[Party, Party], owner: Side, thief: Side, folder: Path
) -> None:
    """The thief is ahead of a second key of their own, and the owner has spent most triggers."""
    puppet = side(folder, "puppet", STRANGER)
    path, suspect = with_all_marks(folder, "all", THIEF, owner, thief, puppet)
    records = shown(thief, thief.model, day(0)), shown(puppet, path)
    late = Party.from_watermark("o", owner.watermark, (), start=85)
    others = (parties[1], party("puppet", puppet.watermark))
    found = settled(suspect, (late, *others), *records)
    assert (found.unclear, found.named) == (["o"], None)
    assert settled(suspect, others, *records).named == "t"
    stranger = Party.from_watermark(
        "s", Watermark.new(OwnerKey.generate(), shape=(8, 8, 1), classes=10), (), start=85
    )
    assert settled(suspect, (stranger, *others), *records).named == "t", "its mark is not there"


# triggers that were disclosed


def test_a_model_younger_than_a_disclosure_is_not_shown_to_lack_the_mark(
    suspect: Suspect, parties: tuple[Party, Party], owner: Side, thief: Side, stolen: Path
) -> None:
    """Whoever has seen triggers can wash these out alone, and keep the rest."""
    disclosed = replace(parties[1], disclosed=day(1).time)
    found = shown(owner, stolen, day(3), Relation.found)
    theirs = shown(thief, thief.model, day(4))
    for dating, mark in ((day(0), Mark.lacking), (day(2), Mark.unclear), (UNDATED, Mark.unclear)):
        result = settled(
            suspect, (parties[0], disclosed), shown(owner, owner.model, dating), found, theirs
        )
        marks = next(one.marks for one in result.exhibits if one.party == "o")
        assert marks == {"o": Mark.carried, "t": mark}
        assert result.named == ("o" if mark is Mark.lacking else None)


# small things


def test_one_owner_has_no_dispute_with_themselves(
    suspect: Suspect, parties: tuple[Party, Party], owner: Side
) -> None:
    both = [parties[0], party("again", owner.watermark)]
    with pytest.raises(UsageError, match="the same owner"):
        settle(suspect, both)
    with pytest.raises(UsageError, match="two or more"):
        settle(suspect, both[:1])
    with pytest.raises(UsageError, match="the same name"):
        settle(suspect, [both[0], both[0]])


def test_no_bar_is_so_low_that_somebody_could_try_claims_until_one_fits(
    suspect: Suspect, parties: tuple[Party, Party]
) -> None:
    with pytest.raises(UsageError, match="expected 64 or more"):
        settle(suspect, parties, min_bits=63.9)
    assert settle(suspect, parties, min_bits=64).held["o"].required_bits == 64


@pytest.mark.parametrize(
    ("bits", "mark"),
    [(128, Mark.carried), (127.9, Mark.unclear), (32, Mark.unclear), (31.9, Mark.lacking)],
)
def test_a_mark_is_lacking_below_half_of_what_a_dated_claim_needs(bits: float, mark: Mark) -> None:
    assert Held(bits, 128, attainable=300.0).mark == mark


@pytest.mark.parametrize(
    ("bits", "attainable", "mark"),
    [
        (0, 32, Mark.lacking),
        (0, 31.9, Mark.unclear),
        (19.9, 40, Mark.lacking),
        (20, 40, Mark.unclear),
        (31.9, 64, Mark.lacking),
        (32, 80, Mark.unclear),
    ],
)
def test_no_mark_is_lacking_by_triggers_with_which_an_exact_copy_would_lack_it(
    bits: float, attainable: float, mark: Mark
) -> None:
    assert Held(bits, 128, attainable=attainable).mark == mark


@pytest.mark.parametrize("bits", [0, 31.9, 32, 63.9, 64, 127.9])
def test_no_mark_is_lacking_because_the_date_of_its_claim_was_left_out(bits: float) -> None:
    dated, undated = (Held(bits, needed, attainable=300.0).mark for needed in (64, 128))
    assert (undated is Mark.lacking) == (dated is Mark.lacking)
    assert (undated is not Mark.carried) or (dated is Mark.carried)


def test_a_model_that_cannot_be_asked_is_not_shown_to_lack_a_mark() -> None:
    assert Held(0, 128, failure="takes another input").mark == Mark.unclear
