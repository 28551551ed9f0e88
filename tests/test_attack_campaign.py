"""A campaign of attacks: what it keeps, what it takes up again, and what it never starts."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from support import onnx_models
from support.fixed import fixed_watermark
from support.page_parts import check_stands_alone

from wmx import OwnerKey, Watermark
from wmx.attacks.attack import Attack, Outcome, Progress, Target
from wmx.attacks.campaign import Step, accuracy, attack_model
from wmx.attacks.catalogue import ATTACKS, CATALOGUE, GROUPS, chosen_attacks
from wmx.attacks.report import write_report
from wmx.attacks.results import MAX_RESULTS_BYTES
from wmx.attacks.target import attacker_split, target_from_file
from wmx.attacks.training.adversarial import AdversarialFineTuning
from wmx.attacks.training.decoys import DecoyRows, drawn_inputs
from wmx.attacks.training.extraction import probabilities
from wmx.attacks.training.fine_tuning import FineTuning
from wmx.attacks.training.overwriting import own_watermark
from wmx.attacks.training.transfer import paired_classes
from wmx.errors import CannotRunError, IntegrityError, UsageError
from wmx.suspect.onnx_file import OnnxFile
from wmx.training.data.dataset import LabeledData, load_data
from wmx.triggers import Folder


@pytest.fixture(scope="module")
def digits() -> LabeledData:
    return load_data("digits")


@pytest.fixture(scope="module")
def watermark(digits: LabeledData) -> Watermark:
    return fixed_watermark(digits.task)


@pytest.fixture
def target(digits: LabeledData, watermark: Watermark, tmp_path: Path) -> Target:
    path = tmp_path / "model.onnx"
    path.write_bytes(onnx_models.knows_labels(watermark))
    return Target(
        model=path,
        task=watermark.task,
        family=watermark.generator,
        data=attacker_split(digits),
        queries=digits.x_train,
    )


# the data


def test_the_attacker_gets_half_of_what_the_owner_did_not_train_on(digits: LabeledData) -> None:
    attacker = attacker_split(digits)
    assert (len(attacker.y_train), len(attacker.y_test)) == (179, 180)
    parts = [attacker.x_train, attacker.x_test]
    both = sorted(image.tobytes() for part in parts for image in part)
    assert both == sorted(image.tobytes() for image in digits.x_test)
    np.testing.assert_array_equal(attacker_split(digits).x_train, attacker.x_train)
    assert attacker.classes == digits.classes


def test_too_few_test_samples_are_refused(digits: LabeledData) -> None:
    with pytest.raises(UsageError, match="3 test samples"):
        attacker_split(replace(digits, x_test=digits.x_test[:3], y_test=digits.y_test[:3]))


def test_pairs_of_classes_become_one(digits: LabeledData) -> None:
    pairs = paired_classes(digits)
    assert (pairs.classes, pairs.y_train.max()) == (5, 4)
    np.testing.assert_array_equal(pairs.y_train == 2, np.isin(digits.y_train, [4, 5]))


# choosing


def test_groups_name_every_attack_once() -> None:
    assert set(GROUPS["all"]) == set(ATTACKS)
    assert len(ATTACKS) == sum(len(attacks) for attacks in CATALOGUE.values())
    assert set(GROUPS["quick"]) == {*CATALOGUE["graph"], *CATALOGUE["input"]}
    assert list(chosen_attacks("blur, fp16,input"))[:2] == ["blur", "fp16"]


@pytest.mark.parametrize("name", ATTACKS)
def test_every_attack_says_who_described_it_and_what_the_attacker_has(name: str) -> None:
    attack = ATTACKS[name]
    assert attack.threat
    assert attack.source
    assert json.loads(json.dumps(attack.settings())) == attack.settings()


def test_the_page_on_attacks_names_every_one() -> None:
    page = (Path(__file__).parents[1] / "docs" / "attacks.md").read_text()
    for name in ATTACKS:
        stem, _, number = name.rpartition("-")
        assert f"`{name}`" in page or (f"`{stem}-" in page and f"`-{number}`" in page), name


def test_the_settings_of_the_adaptive_attack_keep_their_names() -> None:
    """They are JSON keys of result files, and what ``--set`` takes."""
    (attack,) = chosen_attacks("adaptive-random", ["answers=own"]).values()
    assert attack.settings()["answers"] == "own"
    assert {"answers", "drawn", "per_batch"} <= set(attack.settings())


def test_settings_are_changed_for_all_or_for_one() -> None:
    chosen = chosen_attacks("finetune,blur", ["epochs=3", "ftll:lr=0.5"])
    assert {a.epochs for a in chosen.values() if isinstance(a, FineTuning)} == {3}
    assert chosen["ftll"].settings()["lr"] == 0.5
    assert chosen["ftal-0.05"].settings()["lr"] == 0.05
    assert ATTACKS["ftll"].settings()["epochs"] == 20, "the catalogue stays as it is"


@pytest.mark.parametrize(
    ("spec", "settings", "message"),
    [
        ("none", [], "no attack or group 'none'"),
        (" , ", [], "no attack was chosen"),
        ("blur", ["epochs=3"], "none of the chosen attacks has this setting"),
        ("ftll", ["ftal-0.1:lr=3"], "none of the chosen attacks has this setting"),
        ("ftll", ["epochs"], "expected FIELD=VALUE"),
        ("ftll", ["epochs=many"], "'many' is not a value like 20"),
        ("rtll", ["new_head=perhaps"], "not true or false"),
    ],
)
def test_what_cannot_be_chosen(spec: str, settings: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        chosen_attacks(spec, settings)


# the campaign


@dataclass(frozen=True)
class Fails(Attack):
    """Cannot be carried out."""

    needs = "file"
    threat = source = "this test"

    def run(self, target: Target, folder: Path, progress: Progress) -> list[Outcome]:
        progress(1, 2)
        raise CannotRunError("no way", hint="none")


def test_bits_and_accuracy_of_every_outcome_and_failures_noted(
    target: Target, watermark: Watermark, tmp_path: Path
) -> None:
    steps: list[Step] = []
    attacks = {**chosen_attacks("permute-classes,2-levels"), "fails": Fails()}
    path = tmp_path / "r.json"
    results = attack_model(target, watermark, attacks, path, report=steps.append)
    assert results.before.hits == 100
    by_name = {result.name: result for result in results.attacks}
    (permuted,) = by_name["permute-classes"].outcomes
    assert permuted.hits < 20
    assert permuted.bits > 200
    assert permuted.accuracy == results.before.accuracy
    assert by_name["2-levels"].outcomes[0].verified
    assert by_name["fails"].error == "no way (none)"
    assert by_name["fails"].outcomes == ()
    assert json.loads(path.read_text()) == json.loads(json.dumps(results.to_json()))
    assert [(step.name, step.number) for step in steps if step.result] == [
        ("permute-classes", 1),
        ("2-levels", 2),
        ("fails", 3),
    ]
    assert (1, 2) in {(step.epoch, step.epochs) for step in steps if step.name == "fails"}


def test_no_result_holds_a_trigger_or_a_label_of_one(
    target: Target, watermark: Watermark, tmp_path: Path
) -> None:
    path = tmp_path / "r.json"
    attack_model(target, watermark, chosen_attacks("2-levels"), path)
    assert not {"triggers", "labels", "salt", "key"} & set(json.loads(path.read_text()))
    fields = vars(target)
    assert not any(isinstance(value, Watermark | OwnerKey) for value in fields.values())


def test_resuming_carries_out_what_is_missing_changed_or_failed(
    target: Target, watermark: Watermark, tmp_path: Path
) -> None:
    path = tmp_path / "r.json"

    def carried_out(attacks: dict[str, Attack]) -> list[str]:
        steps: list[Step] = []
        attack_model(target, watermark, attacks, path, resume=True, report=steps.append)
        return [step.name for step in steps if step.result]

    first = {**chosen_attacks("blur,4-levels"), "fails": Fails()}
    assert carried_out(first) == ["blur", "4-levels", "fails"]
    assert carried_out(first) == ["fails"]
    assert carried_out(chosen_attacks("blur,4-levels,flip", ["levels=5"])) == ["4-levels", "flip"]
    names = [entry["name"] for entry in json.loads(path.read_text())["attacks"]]
    assert sorted(names) == ["4-levels", "blur", "fails", "flip"]


def test_an_interrupted_campaign_keeps_what_is_done(
    target: Target, watermark: Watermark, tmp_path: Path
) -> None:
    path = tmp_path / "r.json"

    def interrupt(step: Step) -> None:
        if step.number == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        attack_model(target, watermark, chosen_attacks("blur,flip"), path, report=interrupt)
    assert [entry["name"] for entry in json.loads(path.read_text())["attacks"]] == ["blur"]


def test_results_of_another_campaign_are_neither_mixed_in_nor_overwritten(
    target: Target, watermark: Watermark, tmp_path: Path
) -> None:
    path = tmp_path / "r.json"
    blur = chosen_attacks("blur")
    attack_model(target, watermark, blur, path)
    with pytest.raises(CannotRunError, match="exists already"):
        attack_model(target, watermark, blur, path)
    with pytest.raises(UsageError, match="with seed 0, not 1"):
        attack_model(replace(target, seed=1), watermark, blur, path, resume=True)


@pytest.mark.parametrize(
    "content", ['{"attacks": 3}', "[]", "[" * 100_000, '{"seed": 9' + "9" * 5000]
)
def test_a_file_that_holds_no_results_is_not_resumed(
    target: Target, watermark: Watermark, tmp_path: Path, content: str
) -> None:
    path = tmp_path / "r.json"
    path.write_text(content)
    with pytest.raises(IntegrityError, match="not a file of attack results"):
        attack_model(target, watermark, chosen_attacks("blur"), path, resume=True)
    assert path.read_text() == content


def test_a_file_larger_than_any_results_is_not_read(
    target: Target, watermark: Watermark, tmp_path: Path
) -> None:
    path = tmp_path / "r.json"
    with path.open("wb") as sparse:  # it takes no room
        sparse.truncate(MAX_RESULTS_BYTES + 1)
    with pytest.raises(CannotRunError, match=r"results .* is larger than 4,194,304 bytes"):
        attack_model(target, watermark, chosen_attacks("blur"), path, resume=True)


def test_a_claim_that_could_verify_no_model_is_named_as_that(
    target: Target, watermark: Watermark, tmp_path: Path
) -> None:
    said = "its claim's 100 triggers give about 325 bits where a model has learned all"
    with pytest.raises(CannotRunError, match=said):
        attack_model(target, watermark, {}, tmp_path / "r.json", min_bits=400)


def test_a_model_without_the_mark_is_not_attacked(
    target: Target, digits: LabeledData, tmp_path: Path
) -> None:
    other = Watermark.for_task(OwnerKey.generate(), digits.task)
    with pytest.raises(CannotRunError, match="does not verify before any attack"):
        attack_model(target, other, chosen_attacks("blur"), tmp_path / "r.json")
    assert not (tmp_path / "r.json").exists()


@pytest.mark.parametrize(("name", "need"), [("ftal-0.05", "weights"), ("distil-soft", "framework")])
def test_an_attack_that_needs_more_than_the_file_is_refused_before_any_runs(
    name: str, need: str, target: Target, watermark: Watermark, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=f"{name} needs the {need}"):
        attack_model(target, watermark, chosen_attacks(f"blur,{name}"), tmp_path / "r.json")


def test_accuracy_is_that_of_the_classes(target: Target) -> None:
    suspect = OnnxFile.open_own(target.model, "cpu")
    x = target.data.x_test
    feeding = suspect.feedings(target.task)[0]
    top = next(iter(suspect.predictions(feeding, x, target.task).values())).top
    assert accuracy(suspect, x, top, target.task) == 1.0
    wrong = np.where(np.arange(len(top)) < 45, (top + 1) % 10, top)
    assert accuracy(suspect, x, wrong, target.task) == pytest.approx(1 - 45 / len(top))


# the report


def test_the_report_shows_every_outcome_and_loads_nothing(
    target: Target, watermark: Watermark, tmp_path: Path
) -> None:
    attacks = {**chosen_attacks("permute-classes,flip"), "fails": Fails()}
    results = attack_model(target, watermark, attacks, tmp_path / "r.json")
    write_report(results, tmp_path / "r.html", title="<script>x</script>\u202e.onnx")
    parts = check_stands_alone((tmp_path / "r.html").read_text())
    outcomes = [one for result in results.attacks for one in result.outcomes]
    gone = sum(not one.verified for one in outcomes)
    points = [value for value in parts.values("id") if "PathCollection" in value]
    assert len(points) == 2 * 3, "before and two groups of attacks, in the plot and its legend"
    for words in (
        "<script>x</script> .onnx",
        "permute-classes",
        "flip",
        "no way (none)",
        f"{len(outcomes)} outcomes of attacks; {gone} of them have fewer",
        watermark.claim.digest,
    ):
        assert words in parts.text, words


def test_a_report_of_no_outcome(target: Target, watermark: Watermark, tmp_path: Path) -> None:
    results = attack_model(target, watermark, {"fails": Fails()}, tmp_path / "r.json")
    write_report(results, tmp_path / "r.html", title="model")
    assert "0 outcomes" in check_stands_alone((tmp_path / "r.html").read_text()).text


# what attackers make


def test_self_drawn_inputs_are_of_the_family_and_none_of_the_owners(
    target: Target, watermark: Watermark
) -> None:
    drawn = drawn_inputs(target, 50, "adaptive")
    assert drawn.shape == (50, *target.task.shape)
    assert set(np.unique(drawn)) == {0, 255}
    owners = {trigger.tobytes() for trigger in watermark.triggers}
    assert not owners & {one.tobytes() for one in drawn}
    np.testing.assert_array_equal(drawn_inputs(target, 50, "adaptive"), drawn)
    assert (drawn_inputs(replace(target, seed=1), 50, "adaptive") != drawn).any()


def test_the_pictures_of_an_owner_are_not_known_to_the_attacker(target: Target) -> None:
    pictures = np.arange(5, dtype=np.uint8).repeat(64).reshape(5, 8, 8, 1)
    over_them = fixed_watermark(target.task, n=5, generator=Folder(pictures))
    own = target_from_file(target.model, over_them, target.data)
    assert set(np.unique(drawn_inputs(own, 5, "adaptive"))) == {0, 255}


def test_an_attackers_own_claim_hangs_on_the_seed(target: Target, watermark: Watermark) -> None:
    own = own_watermark(target)
    again, other = own_watermark(target), own_watermark(replace(target, seed=1))
    np.testing.assert_array_equal(own.labels, again.labels)
    np.testing.assert_array_equal(own.triggers, again.triggers)
    assert own.claim.owner == again.claim.owner != other.claim.owner
    assert own.generator == watermark.generator
    assert own.task == watermark.task


def test_pool_rows_come_behind_the_batch_and_all_in_their_turn() -> None:
    rows = DecoyRows(np.arange(6.0)[:, None], np.arange(6), per_batch=2, seed=3)
    seen = []
    for number in range(3):
        inputs, labels = rows.append((np.full((4, 1), -1.0), np.full(4, 9)), number)
        assert inputs.shape == (6, 1)
        assert (inputs[:4] == -1).all()
        np.testing.assert_array_equal(inputs[4:, 0], labels[4:])
        seen += list(labels[4:])
    assert sorted(seen) == list(range(6))


def test_probabilities_of_logits_and_of_probabilities() -> None:
    logits = np.array([[0.0, np.log(3.0)], [1000.0, 0.0]])
    np.testing.assert_allclose(probabilities(logits), [[0.25, 0.75], [1, 0]], atol=1e-6)
    given = np.array([[0.2, 0.8]])
    np.testing.assert_allclose(probabilities(given), given, atol=1e-7)


class LinearLearner:
    """A learner whose loss falls with the sum of the inputs."""

    def input_gradient(self, inputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
        return -np.ones_like(inputs)


def test_adversarial_images_go_uphill_and_not_too_far(target: Target) -> None:
    x, y = target.data.x_test[:600], target.data.y_test[:600]
    attack = AdversarialFineTuning(epsilon=0.1, pgd_steps=4)
    learner = LinearLearner()
    moved = attack.moved(learner, x, y, target.task)  # type: ignore[arg-type]
    assert moved.shape == x.shape
    np.testing.assert_allclose(moved, np.maximum(x - 25.5, 0), atol=0.01)
