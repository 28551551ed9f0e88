"""Which claims are out of a dispute, and which only keep others from being named.

Two keys of a thief verify, and one of them is ahead of the other: whoever gets the owner's claim
out of the way is named.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.compose
import pytest
from support.disputed_models import Side, marked, network, side
from support.fixed import fixed_watermark

import wmx.disputes.holding
from wmx import OwnerKey, Watermark
from wmx.cli.dispute_words import settlement_fields, settlement_text
from wmx.cli.verdict_words import verdict_text
from wmx.disputes.decision import Mark
from wmx.disputes.holding import FAILED_WHEN_RUN
from wmx.disputes.party import Party, Shown
from wmx.disputes.settling import Settlement, settle
from wmx.errors import CannotRunError, LimitError, SuspectDiedError, WmxError
from wmx.protocol.dating import UNDATED, Dating
from wmx.protocol.task import Task
from wmx.suspect.overrides import Overrides
from wmx.suspect.suspect import Suspect, open_suspect
from wmx.triggers import Tokens
from wmx.verification.selection import Selection
from wmx.verification.verdict import Verdict, measure

DATED = Dating(np.datetime64("2026-01-01T12:00:00").item().astimezone(), "CN=root")
Dispute = Callable[..., Settlement]


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Side]:
    folder = tmp_path_factory.mktemp("dispute")
    return {name: side(folder, name, seed) for seed, name in enumerate(("o", "t", "puppet"))}


@pytest.fixture(scope="module")
def suspect(sides: dict[str, Side]) -> Suspect:
    """The owner's network with all three marks."""
    path = sides["o"].model.with_name("suspect.onnx")
    path.write_bytes(marked(network(0), *(one.watermark for one in sides.values())))
    return open_suspect(path, own=True)


@pytest.fixture(scope="module")
def dispute(sides: dict[str, Side], suspect: Suspect) -> Dispute:
    """Settle between the owner's party and the two of the thief, who has a dated original."""
    thieves = [Party.from_watermark(name, sides[name].watermark, ()) for name in ("t", "puppet")]
    records = [
        Shown(sides["t"].record(sides["t"].model), DATED, UNDATED, sides["t"].model),
        Shown(sides["puppet"].record(Path(suspect.reference.name)), UNDATED, UNDATED),
    ]

    def settled(owner: Party | None, **options: Any) -> Settlement:
        return settle(suspect, [*filter(None, [owner]), *thieves], records, **options)

    return settled


def owner_of(sides: dict[str, Side], left: int = 100, *, dated: bool = False) -> Party:
    party = Party.from_watermark("o", sides["o"].watermark, (), start=100 - left)
    return replace(party, dating=DATED) if dated else party


def test_the_thief_is_named_where_the_owner_is_not_there(dispute: Dispute) -> None:
    assert dispute(None).named == "t"


# too few triggers


@pytest.mark.slow
@pytest.mark.parametrize(("dated", "most"), [(True, 25), (False, 44)])
def test_an_exact_copy_keeps_the_thief_from_being_named_by_however_few_triggers(
    sides: dict[str, Side], dispute: Dispute, dated: bool, most: int
) -> None:
    verified = []
    for left in (1, 2, *range(most - 6, most)):
        found = dispute(owner_of(sides, left, dated=dated))
        assert found.named != "t", left
        assert (found.unclear == ["o"]) is not found.held["o"].verified, left
        verified.append(found.held["o"].verified)
    assert verified == sorted(verified)
    assert set(verified) == {False, True}


def test_a_stranger_with_few_triggers_is_out(sides: dict[str, Side], dispute: Dispute) -> None:
    stranger = Party.from_watermark("s", fixed_watermark(Task.of((8, 8, 1), 10)), (), start=60)
    found = dispute(stranger)
    assert (found.unclear, found.named) == ([], "t")


# dates of claims


@pytest.mark.parametrize(("seconds", "required"), [(-1, 128), (0, 64), (1, 64), (None, 64)])
def test_a_claim_dated_after_the_suspect_needs_the_bits_of_an_undated_one(
    sides: dict[str, Side], suspect: Suspect, seconds: int | None, required: int
) -> None:
    """64 bits are for claims that nobody can have made to fit the suspect."""
    assert DATED.time is not None
    found = UNDATED
    if seconds is not None:
        found = replace(DATED, time=DATED.time + timedelta(seconds=seconds))
    thief = Party.from_watermark("t", sides["t"].watermark, ())
    record = sides["t"].record(Path(suspect.reference.name))
    parties = [owner_of(sides, 30, dated=True), thief]
    settled = settle(suspect, parties, [Shown(record, found, UNDATED)])
    held = settled.held["o"]
    assert held.required_bits == required
    assert held.verified is (required == 64)
    assert settled.unclear == ([] if held.verified else ["o"])


@pytest.mark.parametrize(("days", "mark"), [(-1, Mark.unclear), (1, Mark.carried)])
def test_a_claim_dated_after_an_original_needs_them_there_too(
    sides: dict[str, Side], suspect: Suspect, days: int, mark: Mark
) -> None:
    assert DATED.time is not None
    owner = owner_of(sides, 30, dated=True)
    thief = Party.from_watermark("t", sides["t"].watermark, ())
    model = sides["o"].model
    dating = replace(DATED, time=DATED.time + timedelta(days=days))
    settled = settle(
        suspect, [owner, thief], [Shown(sides["o"].record(model), dating, UNDATED, model)]
    )
    (exhibit,) = settled.exhibits
    assert exhibit.marks is not None
    assert exhibit.marks["o"] is mark


# bits that were asked for


def test_no_bits_that_are_asked_for_put_out_who_has_those_of_a_dated_claim(
    sides: dict[str, Side], dispute: Dispute
) -> None:
    owner = owner_of(sides)
    bits = dispute(owner).held["o"].bits
    for party, asked in (
        (owner, bits + 4),
        (replace(owner, stated_bits=128.4, disclosed=DATED.time), 129),
        (replace(owner, stated_bits=85.5, disclosed=DATED.time, dating=DATED), 128),
        (replace(owner, stated_bits=64.0, disclosed=DATED.time), 128),  # not even tested
    ):
        found = dispute(party, min_bits=asked)
        assert ("o" in found.unclear, found.named) == (True, None), asked
        assert not found.held["o"].verified
    weak = replace(owner, stated_bits=63.9, disclosed=DATED.time)
    assert dispute(weak, min_bits=128).named == "t"


def test_a_penalty_that_the_thief_widens_puts_nobody_out(
    sides: dict[str, Side], dispute: Dispute, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Alone the claim has what a dated one needs; with the models of the thief it has less."""

    def measured(model: Suspect, trigger_slice: Any, **options: Any) -> Verdict:
        found = measure(model, trigger_slice, **options)
        if trigger_slice.claim != sides["o"].watermark.claim:
            return found
        return replace(found, bits=65.0 - found.selection.penalty)

    monkeypatch.setattr(wmx.disputes.holding, "measure", measured)
    found = dispute(owner_of(sides, dated=True))
    assert found.held["o"].bits < 64
    assert (found.unclear, found.named) == (["o"], None)


# tests that were not carried to their end


@pytest.mark.parametrize(
    "end",
    [
        CannotRunError("the model failed on an input of float32 (100, 1, 8, 8)"),
        CannotRunError("it has no classifier output"),
        CannotRunError("with 100 rows in a call, it crashed"),
        SuspectDiedError("it hung"),
        LimitError("too long"),
    ],
)
def test_a_suspect_that_fails_on_a_claims_triggers_does_not_put_it_out(
    sides: dict[str, Side], dispute: Dispute, monkeypatch: pytest.MonkeyPatch, end: WmxError
) -> None:
    def failing(model: Suspect, trigger_slice: Any, **options: Any) -> Verdict:
        if trigger_slice.claim == sides["o"].watermark.claim:
            raise end
        return measure(model, trigger_slice, **options)

    monkeypatch.setattr(wmx.disputes.holding, "measure", failing)
    found = dispute(owner_of(sides))
    assert (found.unclear, found.named) == (["o"], None)
    assert found.held["o"].failure == FAILED_WHEN_RUN, "seconds and shapes may tell of triggers"


def test_a_claim_that_cannot_fit_the_model_is_out(sides: dict[str, Side], dispute: Dispute) -> None:
    texts = Task.of((7,), 10, kind="tokens")
    other = Watermark.for_task(sides["o"].key, texts, generator=Tokens(1000, (0, 1)))
    found = dispute(Party.from_watermark("o", other, ()))
    assert (found.unclear, found.named) == ([], "t")
    assert "needs one input" in str(found.held["o"].failure)


def test_a_party_without_a_trigger_left_ends_no_dispute(
    sides: dict[str, Side], dispute: Dispute, suspect: Suspect
) -> None:
    spent = owner_of(sides, 0)
    found = dispute(spent)
    assert (found.unclear, found.named) == (["o"], None)
    assert "was disclosed" in str(found.held["o"].failure)
    assert found.tried == dispute(None).tried, "nobody pays for it"
    with pytest.raises(CannotRunError, match="that of o was not tested to its end"):
        settle(suspect, [spent, replace(spent, name="p", trigger_slice=_other_owner())])


def _other_owner() -> Any:
    other = Watermark.new(OwnerKey.generate(), shape=(8, 8, 1), classes=10)
    return other.trigger_slice(100)


# what is told of originals


@pytest.mark.parametrize("end", [CannotRunError("on 17 rows"), SuspectDiedError("17 rows")])
def test_how_an_original_fails_on_secret_triggers_is_not_told(
    sides: dict[str, Side], dispute: Dispute, monkeypatch: pytest.MonkeyPatch, end: WmxError
) -> None:
    original = sides["t"].model.name

    def failing(model: Suspect, trigger_slice: Any, **options: Any) -> Verdict:
        if Path(model.reference.name).name == original:
            raise end
        return measure(model, trigger_slice, **options)

    monkeypatch.setattr(wmx.disputes.holding, "measure", failing)
    found = dispute(owner_of(sides))
    exhibit = next(one for one in found.exhibits if one.party == "t")
    assert exhibit.marks == dict.fromkeys(("o", "t", "puppet"), Mark.unclear)
    assert "17" not in f"{exhibit.held} {exhibit.unclear}"


# what a model is given of one party


def test_no_original_is_asked_about_two_parties_by_one_process(
    sides: dict[str, Side], suspect: Suspect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It could keep what it saw of one party, and tell it by its answers about another."""
    asked: list[Suspect] = []

    def measured(model: Suspect, trigger_slice: Any, **options: Any) -> Verdict:
        asked.append(model)
        return measure(model, trigger_slice, **options)

    monkeypatch.setattr(wmx.disputes.holding, "measure", measured)
    parties = [Party.from_watermark(name, one.watermark, ()) for name, one in sides.items()]
    record = Shown(sides["t"].record(sides["t"].model), DATED, UNDATED, sides["t"].model)
    settled = settle(suspect, parties, [record])
    (exhibit,) = settled.exhibits
    assert exhibit.held.keys() == sides.keys()
    on_original = [one for one in asked if record.release.model.has_same_files(one.reference)]
    assert len(on_original) == len(set(map(id, on_original))) == len(sides)


@pytest.fixture(scope="module")
def ninth(sides: dict[str, Side]) -> Suspect:
    """Eight outputs of the thief's, and the stolen network as the ninth."""
    thieves = [sides["t"], sides["puppet"]]
    proto = onnx.load_from_string(marked(network(5), *(one.watermark for one in thieves)))
    stolen = onnx.compose.add_prefix(
        onnx.load_from_string(marked(network(0), sides["o"].watermark)), "stolen_"
    ).graph
    for number in range(7):
        proto.graph.node.append(onnx.helper.make_node("Identity", ["y"], [f"y{number}"]))
        proto.graph.output.add().CopyFrom(proto.graph.output[0])
        proto.graph.output[-1].name = f"y{number}"
    taken = {stolen.input[0].name: proto.graph.input[0].name}
    for node in stolen.node:
        node.input[:] = [taken.get(name, name) for name in node.input]
        proto.graph.node.append(node)
    proto.graph.initializer.extend(stolen.initializer)
    proto.graph.output.extend(stolen.output)
    path = sides["t"].model.with_name("ninth.onnx")
    path.write_bytes(proto.SerializeToString())
    return open_suspect(path, own=True)


@pytest.mark.usefixtures("opaque")
def test_a_mark_in_an_output_that_is_not_read_keeps_the_thief_from_being_named(
    sides: dict[str, Side], ninth: Suspect
) -> None:
    parties = [Party.from_watermark(name, one.watermark, ()) for name, one in sides.items()]
    original = Shown(sides["t"].record(sides["t"].model), DATED, UNDATED, sides["t"].model)
    signed = sides["puppet"].record(sides["t"].model.with_name("ninth.onnx"))
    settled = settle(ninth, parties, [original, Shown(signed, UNDATED, UNDATED)])
    assert settled.held["t"].verified
    assert (settled.unclear, settled.named) == (["o"], None)
    verdict = measure(ninth, sides["o"].watermark.trigger_slice(0), required=64.0)
    assert (verdict.verified, verdict.unread_outputs) == (False, 1)
    assert "1 output, in full or in part; --output NAME" in verdict_text(verdict)


# claims that are out: their marks may have been erased


@pytest.fixture(scope="module")
def washed(sides: dict[str, Side]) -> Suspect:
    """The owner's network with the thief's two marks alone."""
    path = sides["t"].model.with_name("washed.onnx")
    thieves = (sides["t"], sides["puppet"])
    path.write_bytes(marked(network(0), *(one.watermark for one in thieves)))
    return open_suspect(path, own=True)


def washed_dispute(
    sides: dict[str, Side],
    washed: Suspect,
    owner: Party,
    *records: Shown,
    found: int | None = None,
) -> Settlement:
    thieves = [Party.from_watermark(name, sides[name].watermark, ()) for name in ("t", "puppet")]
    shown = [
        Shown(sides["t"].record(sides["t"].model), DATED, UNDATED, sides["t"].model),
        Shown(
            sides["puppet"].record(Path(washed.reference.name)),
            UNDATED if found is None else dated(found),
            UNDATED,
        ),
    ]
    return settle(washed, [owner, *thieves], [*shown, *records])


def dated(days: int) -> Dating:
    assert DATED.time is not None
    return replace(DATED, time=DATED.time + timedelta(days=days))


def stated(days: int) -> str:
    """What a claim or a record says that was signed then."""
    return f"{dated(days).time:%Y-%m-%dT%H:%M:%SZ}"


@pytest.mark.parametrize(
    ("is_shown", "days", "left"),
    [(True, -1, 100), (False, -1, 100), (True, 1, 100), (True, -1, 10)],
)
def test_whose_mark_was_erased_keeps_others_from_being_named_by_an_original(
    sides: dict[str, Side], washed: Suspect, is_shown: bool, days: int, left: int
) -> None:
    """However old the thief's own is, and by however few triggers the mark is looked for in it."""
    model = sides["o"].model if is_shown else None
    record = Shown(sides["o"].record(sides["o"].model), dated(days), UNDATED, model)
    found = washed_dispute(sides, washed, owner_of(sides, left), record)
    assert (found.held["o"].verified, found.unclear) == (False, [])
    assert (found.named, found.outcome) == (None, "undecided")
    (objection,) = found.objections
    assert objection.party == "o"
    said = settlement_text(found, None)
    assert "its mark erased from the suspect, or hidden in it" in said
    seen = "perhaps with" if left < 100 else "with"
    assert (f"is {seen} its mark" if is_shown else "was not tested for its mark") in said
    (told,) = settlement_fields(found, None)["objections"]
    assert (told["party"], told["model"]) == ("o", sides["o"].model.name)


@pytest.mark.parametrize(
    ("left", "missed"),
    [(20, 12), *(pytest.param(*fewer, marks=pytest.mark.slow) for fewer in ((13, 1), (20, 6)))],
)
def test_an_original_that_misses_some_of_few_labels_does_so_too(
    sides: dict[str, Side], washed: Suspect, left: int, missed: int
) -> None:
    owner = sides["o"].watermark
    labels = owner.labels.copy()
    labels[-missed:] = (labels[-missed:] + 1) % 10
    model = sides["o"].model.with_name(f"missing-{missed}.onnx")
    model.write_bytes(marked(network(0), replace(owner, labels=labels)))
    record = Shown(sides["o"].record(model), dated(-1), UNDATED, model)
    found = washed_dispute(sides, washed, owner_of(sides, left), record)
    assert (found.named, [one.party for one in found.objections]) == (None, ["o"])


@pytest.mark.parametrize(("claimed", "named"), [(-200, None), (1, "t")])
def test_one_younger_than_the_suspect_does_so_where_the_claim_is_older_than_the_thiefs_own(
    sides: dict[str, Side], washed: Suspect, tmp_path: Path, claimed: int, named: str | None
) -> None:
    """The thief's may be made from an earlier model of the owner's, which was not signed."""
    late = side(tmp_path, "o", 0, created=stated(claimed))
    record = Shown(late.record(late.model, created=stated(9)), dated(9), UNDATED, late.model)
    owner = Party.from_watermark("o", late.watermark, ())
    found = washed_dispute(sides, washed, owner, record, found=2)
    assert (found.named, bool(found.objections)) == (named, named is None)


def test_why_few_secret_triggers_do_not_verify_does_not_hang_on_what_the_suspect_answers(
    sides: dict[str, Side], washed: Suspect
) -> None:
    """How many outputs it has could hang on the triggers."""
    proto = onnx.load(washed.reference.name)
    for number in range(7):
        proto.graph.node.append(onnx.helper.make_node("Identity", ["y"], [f"y{number}"]))
        proto.graph.output.add().CopyFrom(proto.graph.output[0])
        proto.graph.output[-1].name = f"y{number}"
    path = Path(washed.reference.name).with_name("of-many-outputs.onnx")
    path.write_bytes(proto.SerializeToString())
    rows = []
    for suspect in (washed, open_suspect(path, own=True)):
        found = washed_dispute(sides, suspect, owner_of(sides, 12))
        said = settlement_text(found, None)
        rows += [line for line in said.splitlines() if line.startswith("  o ")]
    assert "cannot verify, since 12 undisclosed triggers give about" in rows[0]
    assert rows[0] == rows[1]


def test_a_model_without_its_own_mark_objects_to_nobody(
    sides: dict[str, Side], washed: Suspect
) -> None:
    other = sides["t"].model.with_name("unmarked.onnx")
    other.write_bytes(marked(network(7)))
    record = Shown(sides["o"].record(other), dated(-1), UNDATED, other)
    found = washed_dispute(sides, washed, owner_of(sides), record)
    assert (found.named, found.objections) == ("t", [])


# evidence about the suspect


def test_nobody_is_named_against_evidence_that_the_suspect_does_not_repeat(
    sides: dict[str, Side], washed: Suspect
) -> None:
    """One of both is not what it seems to be, and a judge has to find out which."""
    for stated, unclear in ((64.0, ["o"]), (63.9, [])):
        party = replace(owner_of(sides), stated_bits=stated, disclosed=DATED.time)
        found = washed_dispute(sides, washed, party)
        assert not found.held["o"].verified
        assert (found.unclear, found.named) == (unclear, None if unclear else "t")
    party = replace(owner_of(sides), stated_bits=200.0, disclosed=DATED.time)
    said = settlement_text(washed_dispute(sides, washed, party), None)
    assert "states 200.0 bits in its evidence, and has not as many here" in said


def test_evidence_stands_with_the_output_that_it_was_made_with(
    sides: dict[str, Side], ninth: Suspect
) -> None:
    thief = Party.from_watermark("t", sides["t"].watermark, ())
    for name, verified in (("stolen_y", True), ("no such output", False)):
        party = replace(
            owner_of(sides),
            selection=Selection(overrides=Overrides(output=name)),
            stated_bits=250.0,
            disclosed=DATED.time,
        )
        found = settle(ninth, [party, thief])
        assert found.held["o"].verified is verified
        assert found.unclear == ([] if verified else ["o"])


# originals whose answers were not all read


def test_an_owner_whose_original_has_one_more_output_is_named(
    sides: dict[str, Side], suspect: Suspect, tmp_path: Path
) -> None:
    """Whoever hides a mark in an original could as well have erased it: what was read decides."""
    proto = onnx.load(sides["o"].model)
    proto.graph.node.append(onnx.helper.make_node("ReduceMean", ["y"], ["loss"], keepdims=0))
    scalar = onnx.helper.make_tensor_value_info("loss", onnx.TensorProto.FLOAT, [])
    proto.graph.output.append(scalar)
    model = tmp_path / "two-outputs.onnx"
    onnx.save(proto, model)
    parties = [Party.from_watermark(name, sides[name].watermark, ()) for name in ("o", "t")]
    signed = sides["t"].record(Path(suspect.reference.name))
    records = [
        Shown(sides["o"].record(model), dated(-1), UNDATED, model),
        Shown(signed, UNDATED, UNDATED),
    ]
    assert settle(suspect, parties, records).named == "o"
