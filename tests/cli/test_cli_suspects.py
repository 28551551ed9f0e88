"""``wmx verify`` of what is no file: an address, a function; and what is said of inputs."""

import sys
from pathlib import Path
from typing import Any

import onnx
import pytest
from commands import CLAIM_NEW
from onnx import TensorProto, helper
from support.oip_server import Server, serving

FUNCTION = """
import numpy as np

from wmx import Claim, OwnerKey, Watermark

mark = Watermark.open(Claim.load("claim.json"), OwnerKey.load("store/owner.pem"))
calls = []
noise = np.random.default_rng(0)


def guesses(inputs):
    calls.append(len(inputs))
    return noise.normal(size=(len(inputs), 10))


def knows(inputs):
    calls.append(len(inputs))
    near = ((inputs[:, None] - mark.inputs[None]) ** 2).sum(axis=(2, 3, 4)).argmin(axis=1)
    return mark.labels[near]


def fails(inputs):
    raise RuntimeError("out of order")


nothing = 3
"""


@pytest.fixture
def address(claim: Path) -> Any:
    with serving(Path("model.onnx").read_bytes()) as server:
        yield server


def test_an_address_is_verified(wmx: Any, address: Server) -> None:
    result = wmx("verify", address.url, "--json")
    assert result.code == 0
    assert result.json["verified"]
    assert result.json["suspect"] == address.url
    assert result.json["suspect_sha256"] is None
    assert address.asked <= 48  # 128 bits, and no more


def test_the_budget_of_an_address_is_the_callers(wmx: Any, address: Server) -> None:
    result = wmx("verify", address.url, "--max-queries", 16)
    assert result.code == 4  # neither yes nor no
    assert address.asked <= 16
    assert result.out.startswith("NOT VERIFIED, and no answer yet: the budget ended before every")
    assert "--max-queries" in result.out
    assert "16 inputs sent; 16 of this claim's 100 triggers were sent" in result.out


def test_programs_are_told_of_the_budget_of_an_address(wmx: Any, address: Server) -> None:
    cut = wmx("verify", address.url, "--max-queries", 16, "--json")
    assert cut.code == cut.json["exit_code"] == 4
    assert (cut.json["queries"], cut.json["budget_ended"]) == (16, True)
    assert cut.json["claims_not_asked_in_full"] == [cut.json["claim"]]
    assert "budget ended" in cut.json["error"]["message"]
    whole = wmx("verify", address.url, "--json").json
    assert whole["queries"] == whole["n"]
    assert not whole["budget_ended"]
    assert whole["triggers_left"] == 100
    assert "error" not in whole


@pytest.mark.slow
def test_other_claims_that_were_not_asked_in_full_are_named(wmx: Any, address: Server) -> None:
    for number in range(2):
        assert wmx(*CLAIM_NEW, "-o", f"later{number}.json").code == 0
    result = wmx("verify", address.url, "--max-queries", 30)
    assert result.code == 4
    assert "of 3 of 3 claims" in result.out
    assert "not queried in full" in result.out
    assert wmx("verify", address.url, "--json").json["verified"]


def test_triggers_that_are_left_are_counted_not_those_that_were_asked(
    wmx: Any, address: Server
) -> None:
    evidence = ("--evidence", "e.json", "--reveal", 43)
    assert wmx("verify", "model.onnx", *evidence).code == 0
    result = wmx("verify", address.url, "--min-bits", 64)
    assert "The 57 others give 189 bits at most" in result.out


def test_a_token_goes_along(wmx: Any, address: Server) -> None:
    address.token = "letmein"
    refused = wmx("verify", address.url)
    assert refused.code == 4
    Path("token").write_text("letmein\n")
    assert wmx("verify", address.url, "--token-file", "token").code == 0


def test_there_is_no_evidence_about_an_address_and_nothing_is_asked(
    wmx: Any, address: Server
) -> None:
    result = wmx("verify", address.url, "--evidence", "e.json")
    assert result.code == 2
    assert "only for an ONNX file" in result.err
    assert address.asked == 0


def test_a_report_names_the_address(wmx: Any, address: Server) -> None:
    result = wmx("verify", address.url, "--report", "report.html")
    assert result.code == 0
    page = Path("report.html").read_text()
    assert f"wmx verify {address.url}" in page
    assert "sha256sum" not in page


@pytest.fixture
def functions(claim: Path) -> Any:
    """A module in the working folder."""
    Path("their_client.py").write_text(FUNCTION)
    yield
    sys.modules.pop("their_client", None)


def test_a_function_is_verified(wmx: Any, functions: None) -> None:
    result = wmx("verify", "--callable", "their_client:knows")
    assert result.code == 0
    assert result.out.startswith("VERIFIED")


def test_a_function_is_asked_as_an_api_is(wmx: Any, functions: None) -> None:
    """It may ask a foreign API: one trigger at a time, and no more than are needed."""
    result = wmx("verify", "--callable", "their_client:knows", "--json")
    assert result.code == 0
    calls = sys.modules["their_client"].calls
    assert set(calls) == {1}
    assert sum(calls) == result.json["queries"] <= 48  # 128 bits, and no more


def test_the_budget_of_a_function_is_the_callers(wmx: Any, functions: None) -> None:
    result = wmx("verify", "--callable", "their_client:knows", "--max-queries", 16)
    assert result.code == 4
    assert result.out.startswith("NOT VERIFIED, and no answer yet: the budget ended before every")
    assert sum(sys.modules["their_client"].calls) == 16


def test_a_function_that_knows_nothing_is_asked_no_more_than_2000_inputs(
    wmx: Any, functions: None
) -> None:
    result = wmx("verify", "--callable", "their_client:guesses")
    assert result.code == 1
    assert 100 < sum(sys.modules["their_client"].calls) <= 2000
    assert "every trigger was sent unchanged" in result.out


def test_claims_whose_inputs_a_function_does_not_take_are_passed_over(
    wmx: Any, functions: None, home: Path
) -> None:
    """A store holds claims of all shapes, and a function does not say which one it takes."""
    assert (
        wmx("claim", "new", "--shape", "28,28,1", "--classes", "10", "-o", "other.json").code == 0
    )
    result = wmx("verify", "--callable", "their_client:knows")
    assert result.code == 0, result.err


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("--callable", "their_client:fails"), 4, "fails failed on inputs"),
        (("--callable", "their_client:nothing"), 2, "expected a callable"),
        (("--callable", "their_client:gone"), 2, "has no 'gone'"),
        (("--callable", "their_client:knows", "model.onnx"), 2, "expected one suspect"),
        (("--callable", "their_client:knows", "--input", "a=1"), 2, "files and addresses"),
        (("--callable", "their_client:knows", "--timeout", "9"), 2, "only for an address"),
        (("--callable", "their_client:knows", "--rate", "0"), 2, "not positive"),
        (("model.onnx", "--token-file", "token"), 2, "for an address"),
        (("model.onnx", "--timeout", "9"), 2, "only for an address"),
        (("model.onnx", "--max-queries", "9"), 2, "only for addresses and functions"),
        (("model.onnx", "--rate", "9"), 2, "only for addresses and functions"),
        (("model.onnx", "--input", "gone=1"), 2, "has no input 'gone'"),
        (("model.onnx", "--input", "x"), 2, "NAME=NUMBER"),
        (("model.onnx", "--output", "gone"), 2, "has no output 'gone'"),
        (("http://127.0.0.1/models/mine",), 2, "no model's address"),
        (("http://127.0.0.1:9/v2/models/mine",), 4, "did not answer"),
    ],
)
def test_what_is_named_wrongly_is_refused(
    wmx: Any, functions: None, no_pauses: None, words: tuple[str, ...], code: int, says: str
) -> None:
    result = wmx("verify", *words)
    assert result.code == code, result.err
    assert says in result.err


def test_a_number_for_an_input_is_used_and_paid_for(wmx: Any, claim: Path) -> None:
    model = onnx.load("model.onnx")
    (scores,) = (output.name for output in model.graph.output)
    model.graph.input.append(helper.make_tensor_value_info("gain", TensorProto.FLOAT, [1]))
    model.graph.node.append(helper.make_node("Mul", [scores, "gain"], ["scaled"]))
    model.graph.output[0].name = "scaled"
    onnx.save(model, "two.onnx")
    assert "--input NAME=NUMBER" in wmx("verify", "two.onnx").err
    plain, paid = (
        wmx("verify", *words, "--json").json["bits"]
        for words in (("model.onnx",), ("two.onnx", "--input", "gain=2"))
    )
    assert paid == pytest.approx(plain - 24, abs=0.1)
    assert wmx("verify", "two.onnx", "--input", "gain=2", "--report", "report.html").code == 0
    page = Path("report.html").read_text()
    assert "wmx verify ./two.onnx --input gain=2" in page
    assert "overrides of inputs and outputs" in page
