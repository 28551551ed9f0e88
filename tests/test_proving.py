"""Making evidence: few triggers, each once, and spent before the file exists."""

import hashlib
import json
import os
from contextlib import closing
from math import log2
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import onnx_models
from support.batch_gates import GATES, gated_model, junk_to_copies

from wmx import OwnerKey, Watermark
from wmx._internal.writing import Staged
from wmx.errors import CannotRunError, IntegrityError, UsageError
from wmx.statistics.mixture import score_predictions
from wmx.statistics.probe import ALONE, TOGETHER, shifted
from wmx.suspect.onnx_file import OnnxFile
from wmx.suspect.overrides import Overrides
from wmx.suspect.suspect import open_suspect
from wmx.verification.check import check
from wmx.verification.evidence import Evidence, Run
from wmx.verification.ledger import Ledger
from wmx.verification.prove import prove
from wmx.verification.reveal import MARGIN_BITS, choose

KEY = OwnerKey.generate()
MARK = Watermark.new(KEY, shape=(8, 8, 1), classes=10, mean=0.4, std=0.3)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "model.onnx").write_bytes(onnx_models.knows_labels(MARK))
    return tmp_path


@pytest.fixture
def suspect(folder: Path) -> OnnxFile:
    return OnnxFile.open_own(folder / "model.onnx", "cpu")


@pytest.fixture
def ledger(folder: Path) -> Ledger:
    return Ledger(folder / "owner.pem", MARK.claim)


def knows(labels: np.ndarray) -> object:
    """A suspect that gives these labels to the triggers, whichever of them it is asked."""
    known = {x.tobytes(): label for x, label in zip(MARK.inputs, labels, strict=True)}
    return open_suspect(lambda inputs: np.array([known.get(x.tobytes(), 0) for x in inputs]))


def test_an_intact_mark_needs_45_triggers_at_most(
    suspect: OnnxFile, ledger: Ledger, folder: Path
) -> None:
    evidence = prove(suspect, MARK, KEY, folder / "e.json", ledger, required_bits=128)
    assert len(evidence.trigger_slice) <= 45
    assert evidence.score.bits >= 128
    assert ledger.next_start() == len(evidence.trigger_slice)
    (entry,) = ledger.disclosures()
    file = (folder / "e.json").read_bytes()
    assert entry.evidence == hashlib.sha256(file).hexdigest()
    assert entry.suspect == suspect.reference.sha256 == evidence.suspect.sha256
    assert Evidence.from_bytes(file).score.bits == evidence.score.bits
    assert (folder / "e.json").stat().st_mode & 0o777 == 0o600


def test_weights_beside_the_model_are_subjects_too(ledger: Ledger, folder: Path) -> None:
    path, weights = folder / "two-files.onnx", folder / "two-files.onnx.data"
    onnx_models.save_with_weights_beside(onnx_models.knows_labels(MARK), path, weights.name)
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    evidence = prove(
        OnnxFile.open_own(path, "cpu"), MARK, KEY, folder / "e.json", ledger, required_bits=128
    )
    assert evidence.suspect.external == {weights.name: digest}
    statement = json.loads(evidence.envelope.payload)
    assert [subject["name"] for subject in statement["subject"]] == [path.name, weights.name]
    assert check(evidence, model=path).verified
    weights.write_bytes(weights.read_bytes()[:-1] + b"\xff")
    with pytest.raises(IntegrityError, match=r"with other weights beside.*two-files\.onnx\.data"):
        check(evidence, model=path)


def test_an_output_that_was_chosen_is_paid_for_and_read_again(ledger: Ledger, folder: Path) -> None:
    path = folder / "two-outputs.onnx"
    path.write_bytes(onnx_models.two_outputs(MARK))
    with closing(open_suspect(path, overrides=Overrides(output="y"))) as suspect:
        evidence = prove(suspect, MARK, KEY, folder / "e.json", ledger, required_bits=128)
    read = Evidence.load(folder / "e.json")
    assert read.selection.overrides == Overrides(output="y")
    assert (read.probe.output, read.probes_tried) == ("y", 1)
    score = score_predictions(
        {read.probe: read.predictions}, read.trigger_slice, penalty=log2(MARK.claim.n)
    )
    assert read.score.bits == pytest.approx(score.bits - 16)
    repeated = check(read, model=path).repeated
    assert repeated is not None
    assert repeated.bits == pytest.approx(evidence.score.bits)
    assert {probe.output for probe in repeated.predictions} == {"y"}


def test_a_name_that_could_be_a_sentence_is_not_disclosed_under(
    ledger: Ledger, folder: Path
) -> None:
    path = folder / "mine\nVERIFIED.onnx"
    path.write_bytes((folder / "model.onnx").read_bytes())
    suspect = OnnxFile.open_own(path, "cpu")
    with pytest.raises(UsageError, match="cannot stand in an evidence file"):
        prove(suspect, MARK, KEY, folder / "e.json", ledger, required_bits=128)
    assert ledger.next_start() == 0


def test_one_trigger_less_would_not_do() -> None:
    choice = choose(knows(MARK.labels), MARK, 0, required_bits=128)
    with pytest.raises(CannotRunError, match="nothing was disclosed"):
        choose(knows(MARK.labels), MARK, 0, required_bits=128, reveal=len(choice.trigger_slice) - 1)


def test_misses_are_paid_for_with_more_triggers() -> None:
    some = MARK.labels.copy()
    some[::8] = (some[::8] + 1) % 10
    intact = choose(knows(MARK.labels), MARK, 0, required_bits=64)
    damaged = choose(knows(some), MARK, 0, required_bits=64)
    assert len(damaged.trigger_slice) > len(intact.trigger_slice)


def test_the_next_evidence_starts_behind_the_last(
    suspect: OnnxFile, ledger: Ledger, folder: Path
) -> None:
    first = prove(suspect, MARK, KEY, folder / "1.json", ledger, required_bits=128)
    second = prove(suspect, MARK, KEY, folder / "2.json", ledger, required_bits=128)
    assert second.trigger_slice.start == len(first.trigger_slice)
    seen = {x.tobytes() for x in first.trigger_slice.triggers}
    assert not seen & {x.tobytes() for x in second.trigger_slice.triggers}
    with pytest.raises(CannotRunError, match="are required; nothing was disclosed") as caught:
        prove(suspect, MARK, KEY, folder / "3.json", ledger, required_bits=128)
    assert "date the claim" in str(caught.value.hint)
    assert not (folder / "3.json").exists()
    left = prove(suspect, MARK, KEY, folder / "4.json", ledger, required_bits=20, reveal="all")
    assert left.trigger_slice.start + len(left.trigger_slice) == 100
    with pytest.raises(CannotRunError, match="every trigger"):
        prove(suspect, MARK, KEY, folder / "5.json", ledger, required_bits=1)


@pytest.mark.parametrize(("reveal", "count"), [("all", 100), (60, 60), (100, 100)])
def test_more_triggers_on_demand(
    suspect: OnnxFile, ledger: Ledger, folder: Path, reveal: object, count: int
) -> None:
    evidence = prove(
        suspect, MARK, KEY, folder / "e.json", ledger, required_bits=128, reveal=reveal
    )
    assert len(evidence.trigger_slice) == count


@pytest.mark.parametrize("reveal", [0, -1, 101])
def test_numbers_of_triggers_that_there_are_not(reveal: int) -> None:
    with pytest.raises(UsageError, match="expected 1 to 100"):
        choose(knows(MARK.labels), MARK, 0, required_bits=128, reveal=reveal)


def test_claims_tried_are_paid_for() -> None:
    alone = choose(knows(MARK.labels), MARK, 0, required_bits=64)
    of_many = choose(knows(MARK.labels), MARK, 0, required_bits=64, claims_tried=1000)
    assert len(of_many.trigger_slice) == len(alone.trigger_slice) + 3  # 10 bits, 3.3 a trigger


def test_a_mark_behind_a_shift_gives_evidence_that_can_be_repeated(folder: Path) -> None:
    """A thief moves the input by some pixels; the shift that undoes it is disclosed too."""
    mark = Watermark.new(KEY, shape=(16, 16, 1), classes=10, n=120)
    inner = {
        x[3:-3, 3:-3].tobytes(): label
        for x, label in zip(shifted(mark.triggers, 1, -2), mark.labels, strict=True)
    }

    def thief(inputs: np.ndarray) -> np.ndarray:
        pixels = np.rint(inputs * 255).astype(np.uint8)
        scores = [np.eye(11)[inner.get(x[3:-3, 3:-3].tobytes(), 10)][:10] for x in pixels]
        return np.array(scores) + np.linspace(0, 0.1, 10)

    choice = choose(open_suspect(thief), mark, 0, required_bits=128)
    assert choice.probe.shift == (1, -2)
    assert len(choice.predictions) == len(choice.trigger_slice)


def test_two_processes_at_once_disclose_different_triggers(
    suspect: OnnxFile, ledger: Ledger, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process spends between the choice and the entry: the choice is made again."""
    spend = Ledger.spend
    others = iter([30])

    def late(self: Ledger, owner: OwnerKey, start: int, count: int, **words: str) -> bool:
        for other in others:
            spend(self, owner, 0, other, suspect="", evidence="")
        return spend(self, owner, start, count, **words)

    monkeypatch.setattr(Ledger, "spend", late)
    evidence = prove(suspect, MARK, KEY, folder / "e.json", ledger, required_bits=64)
    assert evidence.trigger_slice.start == 30
    assert [entry.start for entry in ledger.disclosures()] == [0, 30]


@pytest.mark.parametrize("nameless", [True, False])
@pytest.mark.parametrize("force", [True, False])
def test_an_evidence_is_whole_before_its_triggers_are_spent_and_named_behind(
    suspect: OnnxFile,
    ledger: Ledger,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    nameless: bool,
    force: bool,
) -> None:
    order = []
    sync, spend, publish = os.fsync, Ledger.spend, Staged.publish
    if not nameless:
        monkeypatch.delattr(os, "O_TMPFILE")
    monkeypatch.setattr(os, "fsync", lambda number: order.append("flushed") or sync(number))

    def spending(self: Ledger, *key_and_numbers: Any, **words: str) -> bool:
        assert not (folder / "e.json").exists()
        order.append("spending")
        return spend(self, *key_and_numbers, **words)

    def publishing(self: Staged) -> None:
        order.append(f"publishing, {ledger.next_start()} spent")
        publish(self)

    monkeypatch.setattr(Ledger, "spend", spending)
    monkeypatch.setattr(Staged, "publish", publishing)
    prove(suspect, MARK, KEY, folder / "e.json", ledger, required_bits=128, force=force)
    assert order[:2] == ["flushed", "spending"]
    assert order.index("publishing, 0 spent") > 1, "of the ledger"
    (spent,) = {one for one in order if one.startswith("publishing, 4")}
    assert order.index(spent) > order.index("publishing, 0 spent")
    assert hidden(folder) == []


@pytest.mark.parametrize("nameless", [True, False])
@pytest.mark.parametrize("at", ["spend", "publish"])
def test_an_evidence_that_is_interrupted_after_spending_is_kept(
    suspect: OnnxFile,
    ledger: Ledger,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    nameless: bool,
    at: str,
) -> None:
    if not nameless:
        monkeypatch.delattr(os, "O_TMPFILE")
    spend, publish = Ledger.spend, Staged.publish

    def spending(self: Ledger, *key_and_numbers: Any, **words: str) -> bool:
        spent = spend(self, *key_and_numbers, **words)
        if at == "spend":
            raise KeyboardInterrupt
        return spent

    def publishing(self: Staged) -> None:
        publish(self)
        if at == "publish" and (folder / "e.json").exists():
            raise KeyboardInterrupt

    monkeypatch.setattr(Ledger, "spend", spending)
    monkeypatch.setattr(Staged, "publish", publishing)
    with pytest.raises(KeyboardInterrupt, match="are spent, and the evidence file is") as caught:
        prove(suspect, MARK, KEY, folder / "e.json", ledger)
    kept = Path(str(caught.value).rpartition(" is ")[2])
    assert (kept == folder / "e.json") == (at == "publish")
    assert len(Evidence.load(kept).trigger_slice) == ledger.next_start()
    assert len([*folder.glob("e.json"), *hidden(folder)]) == 1


def test_force_replaces_an_evidence_alone(suspect: OnnxFile, ledger: Ledger, folder: Path) -> None:
    KEY.save(folder / "a.pem")
    MARK.claim.save(folder / "c.json")
    (folder / "m.onnx").write_bytes(onnx_models.knows_labels(MARK))
    ledger.spend(KEY, 0, 1, suspect="ab", evidence="cd")
    (spent,) = folder.rglob("*.spent/*.json")
    for path in (folder / "a.pem", folder / "c.json", folder / "m.onnx", spent):
        before = path.read_bytes()
        with pytest.raises(CannotRunError, match="expected an evidence file"):
            prove(suspect, MARK, KEY, path, ledger, required_bits=64, force=True)
        assert path.read_bytes() == before
    assert ledger.next_start() == 1
    path = folder / "e.json"
    for _ in range(2):
        made = prove(suspect, MARK, KEY, path, ledger, required_bits=64, force=True)
    assert Evidence.load(path).trigger_slice.start == made.trigger_slice.start > 1


def hidden(folder: Path) -> list[Path]:
    return list(folder.rglob(".wmx-*"))


def test_nothing_is_spent_where_the_disk_is_full(
    suspect: OnnxFile, ledger: Ledger, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CannotRunError, match=r"cannot write .*e\.json: No space left"):
        prove(suspect, MARK, KEY, folder / "e.json", ledger, required_bits=128)
    assert ledger.next_start() == 0
    assert hidden(folder) == []
    assert not (folder / "e.json").exists()


@pytest.mark.parametrize("force", [True, False])
def test_no_evidence_is_asked_for_that_could_not_be_put_there(
    ledger: Ledger, folder: Path, monkeypatch: pytest.MonkeyPatch, force: bool
) -> None:
    def never(inputs: np.ndarray) -> np.ndarray:
        raise AssertionError("asked")

    (folder / "there").mkdir()
    os.mkfifo(folder / "pipe")
    for name in ("there", "pipe", "e" * 256):
        with pytest.raises(CannotRunError, match="cannot write"):
            prove(
                open_suspect(never), MARK, KEY, folder / name, ledger, required_bits=1, force=force
            )
    monkeypatch.setattr(os, "open", _denied)  # modes bind no administrator
    with pytest.raises(CannotRunError, match=r"cannot write .*: Permission denied"):
        prove(
            open_suspect(never), MARK, KEY, folder / "e.json", ledger, required_bits=1, force=force
        )
    monkeypatch.undo()
    assert ledger.next_start() == 0


def _denied(*_: object) -> int:
    raise OSError(13, "Permission denied")


@pytest.mark.parametrize("nameless", [True, False])
@pytest.mark.parametrize("force", [True, False])
@pytest.mark.parametrize("length", [234, 249, 250, 255])
def test_a_name_may_be_as_long_as_the_disk_takes(
    suspect: OnnxFile,
    ledger: Ledger,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    length: int,
    force: bool,
    nameless: bool,
) -> None:
    if not nameless:
        monkeypatch.delattr(os, "O_TMPFILE")
    path = folder / ("e" * (length - 5) + ".json")
    prove(suspect, MARK, KEY, path, ledger, required_bits=128, force=force)
    assert Evidence.load(path).score.bits >= 128
    assert hidden(folder) == []


@pytest.mark.parametrize("nameless", [True, False])
def test_an_evidence_whose_name_is_taken_meanwhile_is_kept_under_another(
    suspect: OnnxFile,
    ledger: Ledger,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    nameless: bool,
) -> None:
    spend = Ledger.spend
    if not nameless:
        monkeypatch.delattr(os, "O_TMPFILE")

    def slow(self: Ledger, *key_and_numbers: Any, **words: str) -> bool:
        (folder / "e.json").write_text("another's")
        return spend(self, *key_and_numbers, **words)

    monkeypatch.setattr(Ledger, "spend", slow)
    with pytest.raises(CannotRunError, match=r"exists already; triggers 0 to 4\d are spent") as e:
        prove(suspect, MARK, KEY, folder / "e.json", ledger, required_bits=128)
    (kept,) = hidden(folder)
    assert str(kept) in str(e.value)
    assert kept.stat().st_mode & 0o777 == 0o600
    assert hashlib.sha256(kept.read_bytes()).hexdigest() == ledger.disclosures()[0].evidence
    assert (folder / "e.json").read_text() == "another's"


def test_nothing_is_spent_for_what_is_refused(
    suspect: OnnxFile, ledger: Ledger, folder: Path
) -> None:
    (folder / "there.json").write_text("old")
    with pytest.raises(CannotRunError, match="exists already"):
        prove(suspect, MARK, KEY, folder / "there.json", ledger, required_bits=128)
    with pytest.raises(UsageError, match="min-bits"):
        prove(suspect, MARK, KEY, folder / "e.json", ledger, required_bits=1e-25)
    with pytest.raises(UsageError, match="not a file"):
        prove(knows(MARK.labels), MARK, KEY, folder / "e.json", ledger, required_bits=128)
    (folder / "model.onnx").write_bytes(onnx_models.linear(MARK, seed=1))
    with pytest.raises(CannotRunError, match="was changed"):
        prove(suspect, MARK, KEY, folder / "e.json", ledger, required_bits=128)
    assert ledger.next_start() == 0
    assert not (folder / "e.json").exists()
    assert (folder / "there.json").read_text() == "old"


def test_the_evidence_names_what_was_run(suspect: OnnxFile, ledger: Ledger, folder: Path) -> None:
    evidence = prove(suspect, MARK, KEY, folder / "e.json", ledger, required_bits=128)
    assert evidence.run.engine == suspect.engine
    assert evidence.run.opsets == ("ai.onnx 17",)
    assert evidence.suspect.name == "model.onnx"
    statement = json.loads(evidence.envelope.payload)
    assert str(folder) not in json.dumps(statement)


# checking


@pytest.fixture
def evidence(suspect: OnnxFile, ledger: Ledger, folder: Path) -> Evidence:
    return prove(suspect, MARK, KEY, folder / "e.json", ledger, required_bits=128)


def test_the_check_repeats_the_answers(evidence: Evidence, folder: Path) -> None:
    checked = check(evidence, model=folder / "model.onnx", claim=MARK.claim)
    assert checked.verified
    assert checked.repeated is not None
    assert checked.repeated.hits == evidence.score.hits
    assert checked.bits == pytest.approx(evidence.score.bits)


def test_without_the_model_it_is_consistent_and_not_verified(evidence: Evidence) -> None:
    checked = check(evidence)
    assert checked.sufficient
    assert not checked.verified
    assert any("--model" in sentence for sentence in checked.unchecked)
    assert any("published" in sentence for sentence in checked.unchecked)
    assert any("timestamp" in sentence for sentence in checked.unchecked)


def test_another_model_is_refused(evidence: Evidence, folder: Path) -> None:
    (folder / "other.onnx").write_bytes(onnx_models.knows_labels(MARK, opset=18))
    with pytest.raises(IntegrityError, match="about another file") as caught:
        check(evidence, model=folder / "other.onnx")
    assert str(evidence.suspect.sha256) in str(caught.value)


def test_another_claim_is_refused(evidence: Evidence) -> None:
    other = Watermark.new(KEY, shape=(8, 8, 1), classes=10).claim
    with pytest.raises(IntegrityError, match=other.digest):
        check(evidence, claim=other)


def test_made_up_answers_do_not_survive_the_model(folder: Path, ledger: Ledger) -> None:
    """An owner signs the answers he would like about a model that never saw his mark."""
    innocent = OnnxFile.open_own(folder / "model.onnx", "cpu")
    other = Watermark.new(KEY, shape=(8, 8, 1), classes=10, mean=0.4, std=0.3)
    known = {x.tobytes(): y for x, y in zip(other.inputs, other.labels, strict=True)}
    knowing = open_suspect(lambda inputs: np.array([known[x.tobytes()] for x in inputs]))
    choice = choose(knowing, other, 0, required_bits=128)
    made_up = Evidence.sign(
        KEY,
        choice.trigger_slice,
        other.openings(range(len(choice.trigger_slice))),
        choice.probe,
        choice.predictions,
        probes_tried=choice.probes,
        required_bits=128,
        selection=choice.selection,
        suspect=innocent.reference.without_folder,
        run=Run("", (), ""),
    )
    assert check(made_up).sufficient
    repeated = check(made_up, model=folder / "model.onnx")
    assert not repeated.sufficient
    assert repeated.bits < 10


def test_the_evidence_has_no_say_in_what_is_asked_for(
    suspect: OnnxFile, ledger: Ledger, folder: Path
) -> None:
    weak = prove(suspect, MARK, KEY, folder / "w.json", ledger, required_bits=30)
    assert weak.required_bits == "30"
    checked = check(weak, model=folder / "model.onnx")
    assert checked.required_bits == 128
    assert not checked.verified
    assert check(weak, model=folder / "model.onnx", min_bits=30).verified
    assert weak.score.bits >= 30 + MARGIN_BITS


def test_a_model_with_a_second_way_shares_its_mixture_though_the_owner_named_one(
    folder: Path, ledger: Ledger
) -> None:
    """The ways are the checker's own: who says that he tried fewer gains nothing."""
    mark = Watermark.new(KEY, shape=(8, 8, 3), classes=10)
    (folder / "two.onnx").write_bytes(onnx_models.two_outputs(mark))
    suspect = OnnxFile.open_own(folder / "two.onnx", "cpu")
    choice = choose(suspect, mark, 0, required_bits=128)
    assert (choice.probe.output, choice.probes) == ("y", 2)
    few = Evidence.sign(
        KEY,
        choice.trigger_slice,
        mark.openings(range(len(choice.trigger_slice))),
        choice.probe,
        choice.predictions,
        probes_tried=1,
        required_bits=128,
        selection=choice.selection,
        suspect=suspect.reference.without_folder,
        run=Run("", (), ""),
    )
    honest = check(few, model=folder / "two.onnx")
    assert honest.repeated is not None
    assert honest.bits == honest.repeated.bits
    assert honest.bits == pytest.approx(few.score.bits - 1, abs=0.01)


# suspects that look at their batch


@pytest.mark.slow
@pytest.mark.parametrize("gate", GATES)
def test_evidence_about_a_file_that_looks_at_its_batch_can_be_repeated(
    gate: str, ledger: Ledger, folder: Path
) -> None:
    path = folder / "gated.onnx"
    path.write_bytes(gated_model(MARK, gate))
    with closing(open_suspect(path)) as suspect:
        evidence = prove(suspect, MARK, KEY, folder / "e.json", ledger, required_bits=128)
    rows = {"one row, and more than eight": 2, "fewer than sixty rows": 64}
    assert evidence.probe.rows == rows.get(gate, ALONE)
    if evidence.probe.rows != ALONE:  # in whole batches
        assert len(evidence.trigger_slice) % evidence.probe.rows == 0
    else:
        assert len(evidence.trigger_slice) <= 45
    assert check(Evidence.load(folder / "e.json"), model=path).verified


@pytest.mark.parametrize("gate", ["all rows but the first", "more than eight rows"])
def test_of_a_fixed_batch_whole_batches_or_copies_are_given(
    gate: str, ledger: Ledger, folder: Path
) -> None:
    path = folder / "gated.onnx"
    path.write_bytes(gated_model(MARK, gate, batch=7))
    with closing(open_suspect(path)) as suspect:
        evidence = prove(suspect, MARK, KEY, folder / "e.json", ledger, required_bits=128)
    assert evidence.probe.rows == ALONE
    assert check(Evidence.load(folder / "e.json"), model=path).verified


@pytest.mark.slow
def test_a_file_that_wants_all_rows_of_its_batch_to_differ_is_given_whole_batches(
    ledger: Ledger, folder: Path
) -> None:
    path = folder / "gated.onnx"
    path.write_bytes(junk_to_copies(MARK, batch=7))
    with closing(open_suspect(path)) as suspect:
        evidence = prove(suspect, MARK, KEY, folder / "e.json", ledger, required_bits=128)
    assert evidence.probe.rows == TOGETHER
    assert len(evidence.trigger_slice) % 7 == 0
    assert check(Evidence.load(folder / "e.json"), model=path).verified


def test_all_that_are_left_are_disclosed_though_whole_batches_are_fewer(
    ledger: Ledger, folder: Path
) -> None:
    path = folder / "gated.onnx"
    path.write_bytes(gated_model(MARK, "fewer than sixty rows"))
    with closing(open_suspect(path)) as suspect:
        evidence = prove(
            suspect, MARK, KEY, folder / "e.json", ledger, required_bits=128, reveal="all"
        )
    assert len(evidence.trigger_slice) == 100
    assert len(evidence.predictions) == 64
    assert check(Evidence.load(folder / "e.json"), model=path).verified


@pytest.mark.parametrize("reveal", [np.int64(300), "46", 46.0, None, "Enough", "ALL", True, 0])
def test_no_other_word_discloses_all(
    reveal: Any, suspect: OnnxFile, ledger: Ledger, folder: Path
) -> None:
    with pytest.raises(UsageError, match="expected 1 to 100 triggers, 'enough' or 'all'"):
        prove(suspect, MARK, KEY, folder / "e.json", ledger, reveal=reveal)
    assert ledger.next_start() == 0


def test_a_number_of_numpy_is_a_number(suspect: OnnxFile, ledger: Ledger, folder: Path) -> None:
    found = prove(
        suspect,
        MARK,
        KEY,
        folder / "e.json",
        ledger,
        reveal=np.int64(46),  # type: ignore[arg-type]
    )
    assert len(found.trigger_slice) == ledger.next_start() == 46


def test_a_ledger_that_is_not_the_claims_is_refused(suspect: OnnxFile, folder: Path) -> None:
    other = Watermark.new(KEY, shape=(8, 8, 1), classes=10)
    KEY.save(folder / "mine.pem")
    OwnerKey.generate().save(folder / "other.pem")
    MARK.claim.save(folder / "claim.json")
    for wrong, error in (
        (Ledger(folder / "mine.pem", other.claim), UsageError),
        (folder / "other.pem", UsageError),
        (folder / "onwer.pem", CannotRunError),
        (folder / "claim.json", IntegrityError),
        ("", CannotRunError),
    ):
        with pytest.raises(error):
            prove(suspect, MARK, KEY, folder / "e.json", wrong)
    assert not (folder / "e.json").exists()
    assert list(folder.glob("*.spent")) == []


def test_a_key_with_hard_links_elsewhere_discloses_nothing(suspect: OnnxFile, folder: Path) -> None:
    KEY.save(folder / "mine.pem")
    (folder / "elsewhere").mkdir()
    (folder / "elsewhere" / "mine.pem").hardlink_to(folder / "mine.pem")
    with pytest.raises(CannotRunError, match="2 names"):
        prove(suspect, MARK, KEY, folder / "e.json", folder / "mine.pem")
    assert not (folder / "e.json").exists()


def test_the_path_of_an_encrypted_key_is_no_ledger(suspect: OnnxFile, folder: Path) -> None:
    """It might be another key's, whose ledger says that nothing was disclosed."""
    OwnerKey.generate().save(folder / "encrypted.pem", b"a passphrase")
    with pytest.raises(UsageError, match="is encrypted"):
        prove(suspect, MARK, KEY, folder / "e.json", folder / "encrypted.pem")


@pytest.mark.parametrize(
    "wrong", [{"required_bits": -5.0}, {"required_bits": float("nan")}, {"claims_tried": 0}]
)
def test_numbers_that_cannot_be_spend_nothing(
    wrong: dict[str, Any], suspect: OnnxFile, ledger: Ledger, folder: Path
) -> None:
    with pytest.raises(UsageError):
        prove(suspect, MARK, KEY, folder / "e.json", ledger, **wrong)
    assert ledger.next_start() == 0
