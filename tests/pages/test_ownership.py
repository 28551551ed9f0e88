"""The page on a verdict or an evidence: what it says, and what it never shows."""

import shlex
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from findings import FILES, NOTE, Case
from support.page_parts import check_stands_alone

from wmx import OwnerKey, Watermark
from wmx.errors import CannotRunError
from wmx.protocol.keys import fingerprint
from wmx.protocol.model_reference import ModelReference
from wmx.report.expert_bits import MEANINGS
from wmx.report.ownership import OwnershipReport, report_of_check
from wmx.report.reproduce import Files, owner_steps, third_party_steps
from wmx.report.thumbnails import MAX_SIDE, first_values, thumbnail
from wmx.statistics.experts import EXPERTS
from wmx.statistics.predictions import Predictions
from wmx.statistics.probe import Probe
from wmx.triggers.tokens import Tokens
from wmx.verification.check import check
from wmx.verification.evidence import Evidence, Run
from wmx.verification.selection import Selection

HOSTILE = "--help\"><img src=x onerror=alert(1)>'\n\x1b[2J\u202e{{ 7*7 }}.onnx"
HOSTILE_NAME = "--help\"><img src=x onerror=alert(1)>' {{ 7*7 }}.onnx"  # as far as it can be a name


def written(report: OwnershipReport, page: Path) -> str:
    report.write(page)
    return page.read_text()


# what it says


def test_a_yes_in_words_with_its_odds_claim_and_date(case: Case, page: Path) -> None:
    text = " ".join(check_stands_alone(written(case.owners(), page)).text.split())
    verdict = case.verdict
    for words in (
        'The model "model.onnx" was queried with 100 secret inputs',
        "VERIFIED Owner: ",
        f"key fingerprint {fingerprint(verdict.owner)[:16]}",
        "Report of 2026-11-25 01:02:03 UTC",
        "The curve starts below zero",
        "guesses reach this with probability",
        "predicted that label for 90 of them",
        f"The evidence is {verdict.bits:.1f} bits, and 128 are required",
        f"at most once in 2^{int(verdict.bits)} cases",
        verdict.claim,
        verdict.owner.hex(),
        str(verdict.suspect.sha256),
        case.watermark.claim.root.hex(),
        "that is its owner's word, with no timestamp that is trusted here",
        "when the claim was made",
        "that others find the same",
        "Ville's inequality",
        "This page is not signed and proves nothing by itself",
        "2026-11-25 01:02:03 UTC",
    ):
        assert words in text, words


def test_one_figure_counts(case: Case) -> None:
    """The odds of the bits stand alone; the tail of the hit count is a detail."""
    summary = " ".join(case.owners().summary)
    assert "probability" not in summary
    assert "digits" not in summary
    assert "probability" in case.owners().count["hits"]


def test_what_was_not_checked_comes_first_and_terms_are_explained(case: Case, page: Path) -> None:
    text = check_stands_alone(written(case.owners(), page)).text
    assert text.index("What was not checked") < text.index("Evidence curve")
    terms = text[text.index("Terms\n") :]
    for term in ("bits", "claim", "commitment", "curve", "expert", "timestamp", "trigger"):
        assert term in terms


def test_every_expert_is_explained_where_its_bits_stand(case: Case, page: Path) -> None:
    text = written(case.third_partys(case.checked), page)
    assert list(MEANINGS) == list(EXPERTS)
    for name, meaning in MEANINGS.items():
        assert name in text
        assert meaning.partition("'")[0] in text


def test_a_note_is_quoted_beside_the_key(case: Case) -> None:
    words = case.owners().owner
    assert words.startswith('"</style>')
    assert "\u202e" not in words


def test_a_no_is_no_proof_of_innocence(case: Case, page: Path) -> None:
    verdict = replace(case.verdict, bits=12.0)
    report = replace(case, verdict=verdict).owners()
    assert (report.heading, report.outcome) == ("NOT VERIFIED", "no")
    assert "does not show that the model is no copy" in written(report, page)
    assert "once in 4,096 cases" in page.read_text()


def test_an_evidence_that_was_repeated_and_one_that_was_not(case: Case) -> None:
    repeated, unrepeated = map(case.third_partys, (case.checked, case.unrepeated))
    assert (repeated.heading, repeated.outcome) == ("VERIFIED", "yes")
    assert "given to the model again" in " ".join(repeated.summary)
    assert (unrepeated.heading, unrepeated.outcome) == ("CONSISTENT, not repeated", "open")
    assert "the word of the owner" in " ".join(unrepeated.summary)
    assert case.unrepeated.unchecked == unrepeated.unchecked
    assert len(unrepeated.unchecked) == len(repeated.unchecked) + 1


def test_the_page_shows_the_count_that_decides(case: Case) -> None:
    """An owner who stated less than the model gives: what is shown and what counts agree."""
    again = case.checked.repeated
    assert again is not None
    more = replace(case.checked, repeated=replace(again, bits=again.bits + 1, hits=again.hits + 1))
    report = case.third_partys(more)
    stated = case.proof.score
    assert f"for {stated.hits} of them" in report.summary[0]
    assert f"The evidence is {stated.bits:.1f} bits" in report.summary[1]
    assert report.course.bits[-1] == pytest.approx(stated.bits)
    assert report.count["repeated here"].startswith(f"{again.bits + 1:.2f} bits, {again.hits + 1}")
    assert "evidence" not in report.count


def test_a_name_is_quoted_and_cut(case: Case) -> None:
    name = 'model.onnx" was seized, and the court says VERIFIED; the model ' + "x" * 100
    proof = replace(case.proof, suspect=replace(case.proof.suspect, name=name))
    report = case.third_partys(replace(case.unrepeated, evidence=proof))
    assert f'"{name[:60].replace(chr(34), chr(39))}..." was queried' in report.summary[0]


def test_an_evidence_that_does_not_suffice(case: Case) -> None:
    report = case.third_partys(check(case.proof, min_bits=case.proof.score.bits + 0.5))
    assert (report.heading, report.outcome) == ("NOT VERIFIED", "no")
    report = case.third_partys(check(case.proof, min_bits=300))
    assert (report.heading, report.outcome) == ("NOT VERIFIED", "no")


def test_hits_stand_in_groups_that_add_up(case: Case) -> None:
    groups = case.owners().groups
    assert [(group.first, group.last) for group in groups[:2]] == [(0, 9), (10, 19)]
    assert {group.hits for group in groups} == {9}
    assert groups[0].marks == (False, *[True] * 9)
    assert groups[-1].bits == pytest.approx(case.verdict.bits)
    trigger_slice = case.third_partys(case.checked).groups
    assert sum(group.hits for group in trigger_slice) == case.proof.score.hits


# what it never shows


def test_without_evidence_the_page_depends_on_no_trigger(case: Case, tmp_path: Path) -> None:
    """Were the triggers others, and the hits the same, the page would be the same byte for byte."""
    page = written(case.owners(), tmp_path / "a.html")
    blank = replace(case.watermark, triggers=np.zeros_like(case.watermark.triggers))
    assert written(replace(case, watermark=blank).owners(), tmp_path / "b.html") == page
    assert case.owners().disclosed == []
    for words in ("<img", "data:image", "expected", "<br>predicted"):
        assert words not in page.split("<main>")[1], words


def test_an_evidence_shows_its_own_triggers_and_no_others(case: Case, page: Path) -> None:
    text = written(case.owners(proof=case.proof), page)
    count = len(case.proof.trigger_slice)
    assert 0 < count < 100
    for index, trigger in enumerate(case.watermark.triggers):
        assert (thumbnail(trigger) in text) == (index < count)
    shown = case.owners(proof=case.proof).disclosed
    assert [one.index for one in shown] == list(range(count))
    assert [one.expected for one in shown] == case.watermark.labels[:count].tolist()
    assert {one.index for one in shown if one.given != one.expected} == set(range(0, count, 10))
    assert text.count("<img") == text.count("alt=") == count


def test_the_owners_page_and_the_third_partys_show_the_same_triggers(case: Case) -> None:
    assert case.owners(proof=case.proof).disclosed == case.third_partys(case.checked).disclosed


def test_a_page_with_an_evidence_says_nothing_of_other_triggers(case: Case, tmp_path: Path) -> None:
    """Whoever made the model knows what it answers to them: a hit would tell them a label."""
    page = written(case.owners(proof=case.proof), tmp_path / "a.html")
    other = replace(case.verdict, bits=999.0, hits=1, n=77, best_probe="another", experts={})
    blank = replace(case.watermark, labels=case.watermark.labels * 0)
    changed = replace(case, verdict=other, watermark=blank)
    assert written(changed.owners(proof=case.proof), tmp_path / "b.html") == page
    groups = case.owners(proof=case.proof).groups
    assert (groups[0].first, groups[-1].last) == (0, len(case.proof.trigger_slice) - 1)


def test_a_page_can_be_read_by_its_owner_alone(case: Case, tmp_path: Path) -> None:
    for name, report in (
        ("no evidence", case.owners()),
        ("evidence", case.owners(proof=case.proof)),
        ("check", case.third_partys(case.unrepeated)),
    ):
        report.write(tmp_path / name)
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600


def test_a_page_is_not_replaced_unless_forced(case: Case, page: Path) -> None:
    page.write_text("mine")
    with pytest.raises(CannotRunError, match="exists already"):
        case.owners().write(page)
    assert page.read_text() == "mine"
    with pytest.raises(CannotRunError, match="expected an HTML page"):
        case.owners().write(page, force=True)
    assert page.read_text() == "mine"
    page.write_text("<!doctype html>\nold")
    case.owners().write(page, force=True)
    assert "old" not in page.read_text().splitlines()


def test_the_same_findings_give_the_same_page(case: Case, tmp_path: Path) -> None:
    pages = [written(case.third_partys(case.checked), tmp_path / name) for name in "ab"]
    assert pages[0] == pages[1]


# strangers' words


@pytest.fixture(scope="module")
def hostile() -> Evidence:
    """An evidence of somebody who put markup wherever a text goes."""
    owner = OwnerKey.generate()
    watermark = Watermark.new(owner, shape=(8, 8, 1), classes=1000, n=6, note=NOTE)
    trigger_slice = watermark.trigger_slice().first(3)
    return Evidence.sign(
        owner,
        trigger_slice,
        watermark.openings(range(3)),
        Probe("NCHW", HOSTILE),
        Predictions.from_labels(np.array([-1, 5000, 3]), 1000),
        probes_tried=1,
        required_bits=1,
        selection=Selection(starts=trigger_slice.claim.n),
        suspect=ModelReference(HOSTILE_NAME, "aa" * 32, {'w "VERIFIED"': "bb" * 32}),
        run=Run(HOSTILE, (HOSTILE,), HOSTILE),
    )


def test_strangers_words_stay_words(hostile: Evidence, case: Case, tmp_path: Path) -> None:
    report = report_of_check(check(hostile), FILES, stream=np.random.default_rng(0))
    text = written(report, tmp_path / "hostile.html")
    parts = check_stands_alone(text)
    assert set(parts.tags) == set(
        check_stands_alone(written(case.third_partys(case.unrepeated), tmp_path / "b.html")).tags
    )
    assert "<script>alert(1)</script>" in parts.text
    assert "{{ 7 * 7 }}" in parts.text
    assert not {"\x1b", "\u202e"} & set(text)
    assert parts.text.count("predicted none") == 1, "a class beyond the task's keeps its number"
    assert "predicted 5000" in parts.text


def test_commands_take_names_as_they_are() -> None:
    files = Files(Path("a/my claim.json"), Path("$(id).json"), Path("b/roots.pem"), 96.0)
    suspect = ModelReference("-rf;x.onnx", "aa", {"the weights": "bb"})
    check_it = ["wmx", "check", "$(id).json", "--model", "./-rf;x.onnx"]
    for steps in (
        third_party_steps(suspect, files),
        owner_steps(suspect, files, proved=True),
    ):
        assert [shlex.split(step.command) for step in steps] == [
            ["sha256sum", "./-rf;x.onnx"],
            ["sha256sum", "the weights"],
            [*check_it, "--claim", "my claim.json", "--min-bits", "96", "--roots", "roots.pem"],
        ]
    steps = owner_steps(ModelReference("m", "aa"), files, proved=False)
    words = [shlex.split(step.command) for step in steps]
    assert words[1][:5] == ["wmx", "verify", "m", "--claim", "my claim.json"]
    assert words[2] == [*words[1], "--evidence", "evidence.json"]


# pictures


@pytest.mark.parametrize(
    ("shape", "size"),
    [((8, 6, 1), (6, 8)), ((8, 6, 3), (6, 8)), ((8, 6, 4), (24, 8)), ((200, 100, 1), (34, 67))],
)
def test_thumbnails(shape: tuple[int, ...], size: tuple[int, int]) -> None:
    from base64 import b64decode
    from io import BytesIO

    from PIL import Image

    trigger = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    address = thumbnail(trigger)
    picture = Image.open(BytesIO(b64decode(address.removeprefix("data:image/png;base64,"))))
    assert picture.size == size
    assert max(picture.size) <= MAX_SIDE
    assert np.asarray(picture).flat[0] == trigger.flat[0]


def test_triggers_that_are_no_images_are_numbers(page: Path) -> None:
    owner = OwnerKey.generate()
    mark = Watermark.new(owner, shape=(20,), classes=1000, n=3, kind="tokens", generator=Tokens(50))
    trigger_slice = mark.trigger_slice()
    evidence = Evidence.sign(
        owner,
        trigger_slice,
        mark.openings(range(3)),
        Probe("tokens", "y"),
        Predictions.from_labels(mark.labels, 1000),
        probes_tried=1,
        required_bits=1,
        selection=Selection(starts=trigger_slice.claim.n),
        suspect=ModelReference("model.onnx", "aa" * 32),
        run=Run("", (), ""),
    )
    report = report_of_check(check(evidence), Files(), stream=np.random.default_rng(0))
    text = written(report, page)
    assert "<img" not in text
    for trigger in mark.triggers:
        assert first_values(trigger) in text
        assert first_values(trigger) == " ".join(map(str, trigger[:12])) + " ..."
