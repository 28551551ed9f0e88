"""Settling over real files: which claims stand, what originals carry, and what is refused."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import onnx_models
import pytest
from disputed_models import Side, carries_both, side

from wmx import Watermark
from wmx.disputes.decision import Mark
from wmx.disputes.party import Party
from wmx.disputes.settling import Held, Settlement, settle
from wmx.errors import UsageError
from wmx.suspect import Suspect, open_suspect
from wmx.task import Task
from wmx.timestamp import Dating
from wmx.triggers import Tokens


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("dispute")


@pytest.fixture(scope="module")
def owner(folder: Path) -> Side:
    return side(folder, "owner")


@pytest.fixture(scope="module")
def thief(folder: Path) -> Side:
    return side(folder, "thief")


@pytest.fixture(scope="module")
def stolen(folder: Path, owner: Side, thief: Side) -> Path:
    path = folder / "stolen.onnx"
    path.write_bytes(carries_both(owner.watermark, thief.watermark))
    return path


@pytest.fixture(scope="module")
def suspect(stolen: Path) -> Iterator[Suspect]:
    found = open_suspect(stolen, own=True)
    yield found
    found.close()


def party(name: str, watermark: Watermark, original: Path | None = None) -> Party:
    return Party.from_watermark(name, watermark, (), original)


def settled(suspect: Suspect, *parties: Party) -> Settlement:
    found = settle(suspect, parties, device="cpu")
    again = settle(suspect, parties[::-1], device="cpu")
    assert (found.named, found.outcome) == (again.named, again.outcome)
    return found


def test_neither_stamps_nor_originals_decide_nothing(
    suspect: Suspect, owner: Side, thief: Side
) -> None:
    found = settled(suspect, party("o", owner.watermark), party("t", thief.watermark))
    assert found.outcome == "undecided"
    assert found.named is None
    assert all(held.verified for held in found.held.values())


def test_stamps_decide(suspect: Suspect, owner: Side, thief: Side) -> None:
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    first = replace(party("o", owner.watermark), dating=Dating(noon, "CN=root"))
    second = replace(
        party("t", thief.watermark), dating=Dating(noon + timedelta(days=1), "CN=root")
    )
    found = settled(suspect, first, second)
    assert (found.outcome, found.named) == ("named", "o")
    assert found.held["o"].required_bits == 64


def test_originals_decide_where_the_thief_has_no_model_without_the_owners_mark(
    suspect: Suspect, owner: Side, thief: Side, stolen: Path
) -> None:
    found = settled(
        suspect, party("o", owner.watermark, owner.model), party("t", thief.watermark, stolen)
    )
    assert found.named == "o"
    assert found.originals["o"].held["t"].mark == Mark.lacking
    assert found.originals["t"].held["o"].mark == Mark.carried
    made = party("t", thief.watermark, thief.model)
    assert settled(suspect, party("o", owner.watermark, owner.model), made).named is None


def test_a_claim_that_does_not_verify_is_out(
    suspect: Suspect, owner: Side, thief: Side, folder: Path
) -> None:
    stranger = party("s", side(folder, "stranger").watermark, owner.model)
    found = settled(suspect, party("o", owner.watermark), stranger)
    assert found.outcome == "uncontested"
    assert found.named is None
    assert found.originals == {}
    three = settled(suspect, party("o", owner.watermark), party("t", thief.watermark), stranger)
    assert three.outcome == "undecided"
    assert [one.name for one in three.standing] == ["o", "t"]


def test_a_claim_for_another_kind_of_model_is_out_and_says_why(
    suspect: Suspect, owner: Side, thief: Side
) -> None:
    texts = Task.of((7,), 10, kind="tokens")
    other = Watermark.for_task(thief.key, texts, generator=Tokens(1000, (0, 1)))
    found = settled(suspect, party("o", owner.watermark), party("t", other))
    assert found.outcome == "uncontested"
    assert "needs one input" in str(found.held["t"].failure)


def test_no_claim_verifies(owner: Side, thief: Side, folder: Path) -> None:
    path = folder / "other.onnx"
    path.write_bytes(onnx_models.linear(owner.watermark, seed=1))
    other = open_suspect(path, own=True)
    found = settled(other, party("o", owner.watermark), party("t", thief.watermark))
    assert found.outcome == "no claim verifies"


def test_claims_and_models_are_paid_for(suspect: Suspect, owner: Side, thief: Side) -> None:
    plain = settle(suspect, [party("o", owner.watermark), party("t", thief.watermark)])
    more = settle(suspect, [party("o", owner.watermark, owner.model), party("t", thief.watermark)])
    assert (plain.tried, more.tried) == (2, 4)
    assert plain.held["o"].bits - more.held["o"].bits == pytest.approx(1)


def test_one_owner_has_no_dispute_with_himself(suspect: Suspect, owner: Side) -> None:
    both = [party("o", owner.watermark), party("again", owner.watermark)]
    with pytest.raises(UsageError, match="one owner"):
        settle(suspect, both)
    with pytest.raises(UsageError, match="two or more"):
        settle(suspect, both[:1])
    with pytest.raises(UsageError, match="one name"):
        settle(suspect, [both[0], both[0]])


@pytest.mark.parametrize(
    ("bits", "mark"),
    [(128, Mark.carried), (127.9, Mark.unclear), (64, Mark.unclear), (63.9, Mark.lacking)],
)
def test_a_mark_is_lacking_below_half_of_the_bits(bits: float, mark: Mark) -> None:
    assert Held(bits, 128).mark == mark


def test_a_model_that_cannot_be_asked_is_not_shown_to_lack_a_mark() -> None:
    assert Held(0, 128, failure="takes another input").mark == Mark.unclear
