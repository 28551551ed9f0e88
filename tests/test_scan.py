"""Several claims against an API: what each may ask, when it ends, and what is said of the rest."""

from pathlib import Path
from typing import Any

import pytest
from support import onnx_models
from support.oip_server import Server, serving

from wmx import OwnerKey, Watermark, open_suspect
from wmx.errors import (
    CannotRunError,
    IntegrityError,
    LimitError,
    QueryBudgetError,
    StoppedError,
    SuspectDiedError,
    WmxError,
)
from wmx.suspect.endpoint.endpoint import Endpoint
from wmx.suspect.request_policy import RequestPolicy
from wmx.suspect.suspect import opened
from wmx.verification import scan
from wmx.verification.scan import best_match, verify_any
from wmx.verification.verdict import Verdict, judge

CLAIMS = 4


@pytest.fixture(scope="module")
def marks() -> list[Watermark]:
    """Claims of one task, newest first."""
    owner = OwnerKey.generate()
    made = [Watermark.new(owner, shape=(8, 8, 1), classes=10) for _ in range(CLAIMS)]
    return sorted(made, key=lambda one: (one.claim.created, one.claim.digest), reverse=True)


def api(url: str, most: int) -> Endpoint:
    return Endpoint.open(url, request_policy=RequestPolicy(max_queries=most, retries=0))


@pytest.mark.slow
@pytest.mark.parametrize("place", range(CLAIMS))
def test_no_claim_uses_up_what_the_others_need(marks: list[Watermark], place: int) -> None:
    with serving(onnx_models.knows_labels(marks[place])) as server:
        verdict = verify_any(api(server.url, 2000), marks[::-1])
    assert verdict.verified
    assert verdict.claim == marks[place].claim.digest
    assert verdict.selection.claims_tried == CLAIMS
    assert verdict.lacking == ()


def test_an_api_is_asked_the_newest_claim_first_and_no_more_once_one_verifies(
    marks: list[Watermark],
) -> None:
    with serving(onnx_models.knows_labels(marks[0])) as server:
        verdict = verify_any(api(server.url, 2000), marks[::-1])
        assert server.asked == verdict.queries == verdict.n <= 45
    assert verdict.bits == pytest.approx(128, abs=4)  # log2 of all four is paid


def test_what_a_claim_leaves_is_the_others(marks: list[Watermark]) -> None:
    """Disclosed in all but four, the first three leave nearly all of the budget to the last."""
    starts = {one.claim.digest: 96 for one in marks[:3]}
    with serving(onnx_models.knows_labels(marks[3])) as server:
        _, verdict = best_match(
            api(server.url, 100), marks, min_bits=90, disclosed=lambda c: starts.get(c.digest, 0)
        )
    assert verdict.claim == marks[3].claim.digest
    assert verdict.n > 25


@pytest.mark.parametrize("most", [2, 40])
def test_claims_that_were_not_asked_in_full_are_named(marks: list[Watermark], most: int) -> None:
    with serving(onnx_models.linear(marks[0], 1)) as server:
        verdict = verify_any(api(server.url, most), marks)
        assert server.asked == verdict.queries == most
    assert not verdict.verified
    assert not verdict.is_answer
    assert verdict.lacking == tuple(one.claim.digest for one in marks)


def test_an_api_that_may_not_be_asked_once_gives_no_verdict(marks: list[Watermark]) -> None:
    with (
        serving(onnx_models.linear(marks[0], 1, batch=7)) as server,
        pytest.raises(QueryBudgetError, match="one trigger takes 7"),
    ):
        verify_any(api(server.url, 6), marks)


@pytest.mark.slow
def test_a_no_after_every_trigger_says_whether_ways_were_left_out(marks: list[Watermark]) -> None:
    with serving(onnx_models.linear(marks[0], 1)) as server:
        short, long = (verify_any(api(server.url, most), marks[:1]) for most in (150, 20_000))
    assert short.is_answer
    assert short.budget_ended
    assert long.is_answer
    assert not long.budget_ended


@pytest.mark.slow
def test_a_claim_that_cannot_be_held_against_an_api_is_named_with_the_reason(
    marks: list[Watermark],
) -> None:
    spent = marks[0].claim.digest
    with serving(onnx_models.linear(marks[0], 1)) as server:
        _, verdict = best_match(
            api(server.url, 2000),
            marks[:2],
            disclosed=lambda claim: claim.n if claim.digest == spent else 0,
        )
    assert not verdict.is_answer
    assert list(verdict.passed_over) == [spent]
    assert "was disclosed" in verdict.passed_over[spent]


@pytest.mark.slow
def test_an_api_that_refuses_what_comes_after_the_newest_claim_has_not_said_no(
    marks: list[Watermark],
) -> None:
    calls = 0
    most = 0

    def lie(_: Server, path: str, __: bytes) -> tuple[int, dict[str, str], bytes] | None:
        nonlocal calls
        calls += path.endswith("/infer")
        return (400, {}, b"{}") if most and calls > most else None

    with serving(onnx_models.knows_labels(marks[1]), lie=lie) as server:
        verify_any(api(server.url, 600), marks[:1])
        most, calls = calls, 0
        verdict = verify_any(api(server.url, 1800), marks[:3])
    assert not verdict.is_answer
    assert verdict.claim == marks[0].claim.digest
    assert list(verdict.passed_over) == [one.claim.digest for one in marks[1:3]]


def test_a_claim_that_verifies_is_a_yes_though_others_fail(marks: list[Watermark]) -> None:
    spent = marks[0].claim.digest
    with serving(onnx_models.knows_labels(marks[1])) as server:
        _, verdict = best_match(
            api(server.url, 2000),
            marks[:2],
            disclosed=lambda claim: claim.n if claim.digest == spent else 0,
        )
    assert verdict.verified
    assert verdict.is_answer
    assert list(verdict.passed_over) == [spent]


@pytest.mark.parametrize("known", range(3))
def test_a_claim_that_could_verify_no_model_makes_a_no_no_answer(
    marks: list[Watermark], tmp_path: Path, known: int
) -> None:
    """Of the first two claims 14 triggers are left, of the third all; the model knows one."""
    starts = {one.claim.digest: 86 for one in marks[:2]}
    path = tmp_path / "suspect.onnx"
    path.write_bytes(onnx_models.knows_labels(marks[known]))
    with opened(path, "cpu") as suspect:
        _, verdict = best_match(suspect, marks[:3], disclosed=lambda c: starts.get(c.digest, 0))
    if known == 2:
        assert verdict.verified
        assert verdict.passed_over == {}
    else:
        assert not verdict.is_answer
        assert verdict.claim == marks[known].claim.digest
        assert list(verdict.passed_over) == [marks[1 - known].claim.digest]
        assert str(verdict.too_few).startswith("14 undisclosed triggers give about ")


def test_a_claim_with_all_its_triggers_says_no(marks: list[Watermark], tmp_path: Path) -> None:
    path = tmp_path / "suspect.onnx"
    path.write_bytes(onnx_models.linear(marks[0], 1))
    assert verify_any(path, marks).is_answer


def test_all_claims_are_held_against_a_file_and_the_best_wins(
    marks: list[Watermark], tmp_path: Path
) -> None:
    path = tmp_path / "suspect.onnx"
    path.write_bytes(onnx_models.knows_labels(marks[2]))
    verdict: Any = verify_any(path, marks)
    assert verdict.claim == marks[2].claim.digest
    assert verdict.queries is None
    assert verdict.lacking == ()
    assert not verdict.budget_ended


# a file whose process dies, or that meets a limit


def ending_at(
    place: int, marks: list[Watermark], end: WmxError, monkeypatch: pytest.MonkeyPatch
) -> list[str]:
    """Let the claim at a place be more than a suspect can bear; return the claims as tested."""
    tested: list[str] = []

    def judged(suspect: Any, one: Watermark, **options: Any) -> Verdict:
        tested.append(one.claim.digest)
        if one is marks[place]:
            raise end
        return judge(suspect, one, **options)

    monkeypatch.setattr(scan, "judge", judged)
    return tested


ENDS = [SuspectDiedError("it hung", "more time"), LimitError("too long", "more time")]


@pytest.mark.parametrize("end", ENDS)
def test_a_yes_stands_when_a_later_claim_is_more_than_the_suspect_can_bear(
    marks: list[Watermark], end: WmxError, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tested = ending_at(2, marks, end, monkeypatch)
    suspect = open_suspect(onnx_models.written(tmp_path, onnx_models.knows_labels(marks[1])))
    watermark, verdict = best_match(suspect, marks)
    assert watermark is marks[1]
    assert verdict.verified
    assert verdict.selection.claims_tried == CLAIMS  # all are paid for
    digests = [one.claim.digest for one in marks]
    assert tested == digests[:3]
    assert list(verdict.passed_over) == digests[2:]
    assert verdict.passed_over[digests[2]] == str(end)
    assert str(end) in verdict.passed_over[digests[3]]
    assert "not tested" in verdict.passed_over[digests[3]]


@pytest.mark.parametrize("end", ENDS)
def test_without_a_yes_it_is_no_answer_and_says_at_which_claim(
    marks: list[Watermark], end: WmxError, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ending_at(1, marks, end, monkeypatch)
    suspect = open_suspect(onnx_models.written(tmp_path, onnx_models.knows_labels(marks[3])))
    with pytest.raises(type(end), match=f"{end} .at claim 2 of 4, {marks[1].claim.digest}"):
        best_match(suspect, marks)


# a claim that cannot be prepared or tested


BROKEN = [IntegrityError("the ledger is damaged"), LimitError("too many folders", "fewer")]


@pytest.mark.parametrize("broken", BROKEN)
@pytest.mark.parametrize("place", range(2))
def test_a_yes_stands_whatever_is_wrong_with_another_claim(
    marks: list[Watermark], place: int, broken: WmxError, tmp_path: Path
) -> None:
    other = marks[1 - place].claim.digest

    def disclosed(claim: Any) -> int:
        if claim.digest == other:
            raise broken
        return 0

    suspect = open_suspect(onnx_models.written(tmp_path, onnx_models.knows_labels(marks[place])))
    unprepared = {"0" * 64: IntegrityError("the claim is damaged")}
    watermark, verdict = best_match(suspect, marks[:2], disclosed=disclosed, unprepared=unprepared)
    assert watermark is marks[place]
    assert verdict.verified
    assert verdict.selection.claims_tried == 3
    assert verdict.passed_over == {"0" * 64: "the claim is damaged", other: str(broken)}
    path = tmp_path / "other.onnx"
    path.write_bytes(onnx_models.linear(marks[0], 1))
    assert not best_match(open_suspect(path), marks[:2], disclosed=disclosed)[1].is_answer


def test_only_a_single_claim_that_is_broken_is_said_to_be_so_by_the_exit_code(
    marks: list[Watermark], tmp_path: Path
) -> None:
    def disclosed(_: Any) -> int:
        raise BROKEN[0]

    suspect = open_suspect(onnx_models.written(tmp_path, onnx_models.knows_labels(marks[0])))
    with pytest.raises(IntegrityError, match="the ledger is damaged"):
        best_match(suspect, marks[:1], disclosed=disclosed)
    with pytest.raises(CannotRunError, match=r"none of 2 claims .*ledger is damaged"):
        best_match(suspect, marks[:2], disclosed=disclosed)
    with pytest.raises(IntegrityError, match="the ledger is damaged"):
        best_match(suspect, [], unprepared={"0" * 64: BROKEN[0]})


def test_an_interruption_is_no_failure_of_a_claim(marks: list[Watermark], tmp_path: Path) -> None:
    def disclosed(_: Any) -> int:
        raise StoppedError("interrupted")

    suspect = open_suspect(onnx_models.written(tmp_path, onnx_models.knows_labels(marks[0])))
    with pytest.raises(StoppedError):
        best_match(suspect, marks[:2], disclosed=disclosed)
