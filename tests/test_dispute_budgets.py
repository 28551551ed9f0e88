"""What a party of a dispute costs is its own loss: budgets on the suspect, and what is not run."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.disputed_models import Side, marked, network, side

import wmx.disputes.holding
from wmx._internal.budget import held
from wmx.disputes.holding import FAILED_WHEN_RUN
from wmx.disputes.party import Party, Shown
from wmx.disputes.settling import MAX_PARTIES, Settlement, settle
from wmx.errors import CannotRunError, LimitError, SuspectDiedError, UsageError, WmxError
from wmx.protocol.dating import UNDATED
from wmx.suspect.suspect import Suspect, open_suspect
from wmx.verification.verdict import Verdict, measure


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Side]:
    folder = tmp_path_factory.mktemp("dispute")
    return {name: side(folder, name, seed) for seed, name in enumerate(("o", "t", "x"))}


@pytest.fixture(scope="module")
def stolen(sides: dict[str, Side]) -> Path:
    """A model with the marks of o and t; x is a stranger."""
    path = sides["o"].model.with_name("stolen.onnx")
    path.write_bytes(marked(network(0), sides["o"].watermark, sides["t"].watermark))
    return path


@pytest.fixture(scope="module")
def suspect(stolen: Path) -> Iterator[Suspect]:
    found = open_suspect(stolen, own=True)
    yield found
    found.close()


@pytest.fixture
def parties(sides: dict[str, Side]) -> list[Party]:
    return [Party.from_watermark(name, one.watermark, ()) for name, one in sides.items()]


def shown(one: Side, model: Path) -> Shown:
    return Shown(one.record(model), UNDATED, UNDATED, model)


class Measuring:
    """Measures as usual, but some claims are more than the suspect can bear."""

    def __init__(self, sides: dict[str, Side]) -> None:
        self.names = {one.watermark.claim.digest: name for name, one in sides.items()}
        self.ends: dict[str, WmxError] = {}
        self.asked: list[str] = []
        self.budgets: list[Any] = []
        self.suspects: list[Suspect] = []

    def __call__(self, suspect: Suspect, trigger_slice: Any, **options: Any) -> Verdict:
        name = self.names[trigger_slice.claim.digest]
        self.asked.append(name)
        self.budgets.append(held())
        self.suspects.append(suspect)
        if name in self.ends:
            raise self.ends[name]
        return measure(suspect, trigger_slice, **options)


@pytest.fixture
def measuring(monkeypatch: pytest.MonkeyPatch, sides: dict[str, Side]) -> Measuring:
    found = Measuring(sides)
    monkeypatch.setattr(wmx.disputes.holding, "measure", found)
    return found


@pytest.mark.parametrize("end", [SuspectDiedError("it hung"), LimitError("too long")])
def test_a_party_that_costs_too_much_loses_its_say_and_no_other_does(
    suspect: Suspect, parties: list[Party], measuring: Measuring, end: WmxError
) -> None:
    measuring.ends["x"] = end
    found = settle(suspect, parties)
    assert found.outcome == "undecided"
    assert [one.name for one in found.standing] == ["o", "t"]
    assert (found.held["x"].failure, found.held["x"].verified) == (FAILED_WHEN_RUN, False)


def test_each_party_has_a_budget_and_a_session_of_its_own(
    suspect: Suspect, parties: list[Party], measuring: Measuring
) -> None:
    settle(suspect, parties)
    assert len(set(map(id, measuring.budgets))) == len(parties)
    assert None not in measuring.budgets
    assert len({id(one) for one in (suspect, *measuring.suspects)}) == len(parties) + 1


def test_where_nothing_verifies_an_interrupted_test_is_no_answer(
    sides: dict[str, Side], parties: list[Party], measuring: Measuring
) -> None:
    measuring.ends["x"] = SuspectDiedError("it hung")
    unmarked = sides["o"].model.with_name("unmarked.onnx")
    unmarked.write_bytes(marked(network(7)))
    with pytest.raises(CannotRunError, match="that of x was not tested to its end: it failed"):
        settle(open_suspect(unmarked, own=True), parties)


def test_a_suspect_that_was_changed_meanwhile_ends_the_dispute(
    sides: dict[str, Side], parties: list[Party]
) -> None:
    path = sides["o"].model.with_name("changing.onnx")
    path.write_bytes(marked(network(0), sides["o"].watermark, sides["t"].watermark))
    suspect = open_suspect(path)
    path.write_bytes(marked(network(1), sides["t"].watermark))
    with closing(suspect), pytest.raises(CannotRunError, match="was changed while"):
        settle(suspect, parties)


# what is not run


def bits_of(found: Settlement) -> float:
    return found.held["o"].bits


def test_a_party_that_states_too_few_bits_is_not_run_and_costs_nobody_anything(
    suspect: Suspect, parties: list[Party], measuring: Measuring, sides: dict[str, Side]
) -> None:
    two = settle(suspect, parties[:2], [shown(sides["o"], sides["o"].model)])
    assert two.tried == 2 * 2
    measuring.asked.clear()
    weak = replace(parties[2], stated_bits=65.9)
    records = [shown(sides[name], sides[name].model) for name in ("o", "x")]
    found = settle(suspect, [*parties[:2], weak], records)
    assert "x" not in measuring.asked
    assert "states 65.9 bits, expected 128 and the penalty" in str(found.held["x"].failure)
    assert (found.tried, bits_of(found)) == (two.tried, pytest.approx(bits_of(two)))


def test_the_weakest_are_left_out_first(suspect: Suspect, parties: list[Party]) -> None:
    """Of three claims none would be enough; without the weakest the penalty is a bit."""
    bits = (129.2, 129.1, 128.5)
    stated = [replace(one, stated_bits=n) for one, n in zip(parties, bits, strict=True)]
    found = settle(suspect, stated)
    assert (found.tried, [one.name for one in found.standing]) == (2, ["o", "t"])
    assert settle(suspect, stated[::-1]).held == found.held
    alike = [replace(one, stated_bits=128.5) for one in parties]
    none = settle(suspect, alike)
    assert none.outcome == "no claim verifies"
    assert list(none.unclear) == ["o", "t", "x"]  # by what they state


def test_a_dispute_has_sixteen_parties_at_most(suspect: Suspect, parties: list[Party]) -> None:
    many = [replace(parties[0], name=str(number)) for number in range(MAX_PARTIES + 1)]
    with pytest.raises(UsageError, match="17 claims, expected at most 16"):
        settle(suspect, many)
