"""``wmx verify``: the answer, its exit code, and that it gives nothing away."""

import re
from pathlib import Path
from typing import Any

import pytest
from commands import CLAIM_NEW

from wmx import Claim, OwnerKey


def test_the_store_answers_is_this_one_of_mine(wmx: Any, claim: Path) -> None:
    result = wmx("verify", "model.onnx")
    assert result.code == 0
    assert result.out.startswith("VERIFIED\n")
    assert "100 of 100 triggers" in result.out
    assert result.err == ""


def test_a_model_without_the_mark_exits_with_1(wmx: Any, claim: Path) -> None:
    result = wmx("verify", "other.onnx", "--claim", claim)
    assert result.code == 1
    assert result.out.startswith("NOT VERIFIED\n")
    assert result.err == ""


def test_a_scan_of_the_store_says_how_many_claims_it_tried(wmx: Any, claim: Path) -> None:
    for name in ("b.json", "c.json", "d.json"):
        wmx(*CLAIM_NEW, "-o", name)
    alone = wmx("verify", "model.onnx", "--claim", claim, "--json").json
    scan = wmx("verify", "model.onnx", "--json").json
    assert scan["claims_tried"] == 4
    assert scan["bits"] == pytest.approx(alone["bits"] - 2)
    assert scan["claim"] == alone["claim"]


def test_verify_as_json(wmx: Any, claim: Path) -> None:
    result = wmx("verify", "model.onnx", "--claim", claim, "--key", "store/owner.pem", "--json")
    document = result.json
    assert document["wmx_json"] == 1
    assert document["command"] == "verify"
    assert document["exit_code"] == result.code == 0
    assert document["verified"] is True
    assert document["hits"] == 100
    assert document["bits"] > 300


def test_min_bits(wmx: Any, claim: Path) -> None:
    assert wmx("verify", "model.onnx", "--min-bits", "300").code == 0
    assert wmx("verify", "model.onnx", "--min-bits", "330").code == 4, "324 for an exact copy"
    assert wmx("verify", "model.onnx", "--min-bits", "400").code == 4, "332 at most"
    assert wmx("verify", "model.onnx", "--min-bits", "0").code == 2
    assert wmx("verify", "model.onnx", "--min-bits", "nan").code == 2


def test_key_and_claim_that_do_not_belong_together(wmx: Any, claim: Path) -> None:
    wmx("keygen", "-o", "thief.pem")
    result = wmx("verify", "model.onnx", "--claim", claim, "--key", "thief.pem")
    assert result.code == 3
    assert "the claim claim.json was made with another owner key" in result.err


def test_a_claim_with_any_byte_changed_exits_with_3(wmx: Any, claim: Path) -> None:
    data = claim.read_bytes()
    for position in range(0, len(data), 97):
        changed = bytearray(data)
        changed[position] ^= 1
        Path("changed.json").write_bytes(changed)
        result = wmx("verify", "model.onnx", "--claim", "changed.json")
        assert result.code == 3, position
        assert result.err.startswith("wmx: error: ")


def test_an_empty_store_is_a_usage_error(wmx: Any, claim: Path) -> None:
    wmx("keygen", "-o", "new.pem")
    result = wmx("verify", "model.onnx", "--key", "new.pem")
    assert result.code == 2
    assert "holds no claim of this owner key" in result.err


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "no such file"), (b"text\n", "text file"), (b"\x08\x07", "damaged")],
)
def test_a_suspect_that_cannot_be_run_exits_with_4(
    wmx: Any, claim: Path, content: bytes | None, message: str
) -> None:
    if content is not None:
        Path("suspect.onnx").write_bytes(content)
    result = wmx("verify", "suspect.onnx")
    assert result.code == 4
    assert result.out == ""
    assert re.match(r"wmx: error: .*\nwmx: hint: .*\n$", result.err)


def test_nothing_printed_gives_a_trigger_or_the_key_away(wmx: Any, claim: Path) -> None:
    owner = OwnerKey.load("store/owner.pem")
    secret = owner.trigger_secret(Claim.load(claim).salt)
    printed = ""
    for arguments in (
        ("verify", "model.onnx"),
        ("verify", "model.onnx", "--json"),
        ("claim", "show", claim),
        ("info", claim),
        ("info", "store/owner.pem"),
        ("info", "model.onnx", "--claim", claim),
    ):
        result = wmx(*arguments)
        printed += result.out + result.err
    assert secret.hex() not in printed
    pem = Path("store/owner.pem").read_text().splitlines()[1]
    assert pem not in printed
