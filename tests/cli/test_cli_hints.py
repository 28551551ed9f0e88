"""Errors say what was found, what was expected, and what to do: in the words of the command."""

import json
import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import CLAIM_NEW
from safetensors.numpy import save_file

from wmx.training.plugins import load_adapter


@pytest.fixture
def closed() -> str:
    """The address of a port at which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


@pytest.mark.parametrize("command", ["claim", "release"])
def test_an_authority_that_does_not_answer(
    wmx: Any, claim: Path, closed: str, command: str
) -> None:
    assert wmx("release", "model.onnx").code == 0
    file = claim if command == "claim" else "model.release.json"
    result = wmx(command, "timestamp", file, "--tsa", closed)
    assert result.code == 4
    assert "--request" in result.err
    assert "--response" in result.err
    assert "wmx release" not in result.err
    bare = wmx(command, "timestamp", file)
    assert bare.code == 2
    assert "--tsa URL asks an authority" in bare.err


def test_info_says_what_it_reads(wmx: Any, claim: Path) -> None:
    Path("page.html").write_text("<!doctype html><title>a</title>")
    Path("some.txt").write_text("grüße\n")
    Path("attacks.json").write_text(json.dumps({"wmx_attacks": 1, "before": {}}, indent=2))
    save_file({"a": np.zeros(3, np.float32)}, "weights.safetensors")
    for name, said in (
        ("page.html", "is an HTML page"),
        ("some.txt", "is a text file"),
        ("attacks.json", "is a result of wmx attack"),
        ("weights.safetensors", "such as the weights"),
    ):
        result = wmx("info", name)
        assert result.code == 3
        assert said in result.err
        assert "expected a key, claim, evidence file, release record" in result.err
    for name in (claim, "model.onnx", "store/owner.pem"):
        assert wmx("info", name).code == 0


@pytest.mark.parametrize("command", ["verify", "release", "info"])
def test_a_folder_in_the_place_of_a_model(wmx: Any, claim: Path, command: str) -> None:
    Path("out").mkdir()
    Path("model.onnx").rename("out/model.onnx")
    result = wmx(command, "out")
    assert result.code == 4
    assert "out is a folder, expected a file" in result.err
    assert "file out" not in result.err
    assert "did you mean out/model.onnx?" in result.err
    Path("out/model.onnx").unlink()
    assert "did you mean" not in wmx(command, "out").err


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (("--kind", "features", "--shape", "3"), "--quantiles FILE.npy"),
        (("--kind", "tokens", "--shape", "3"), "--vocabulary N"),
    ],
)
def test_what_a_kind_of_input_needs(wmx: Any, words: Any, option: str) -> None:
    assert wmx("keygen").code == 0
    result = wmx("claim", "new", *words, "--classes", "10", "-o", "c.json")
    assert result.code == 2
    assert option in result.err


def test_no_hint_of_the_command_line_is_for_python(wmx: Any, claim: Path) -> None:
    key = wmx("keygen")
    assert key.code == 4
    assert "keeps this one as owner.old-1.pem" in key.err
    exists = wmx(*CLAIM_NEW, "-o", claim)
    assert exists.code == 4
    assert "--force" in exists.err
    assert "Python" not in key.err + exists.err


def test_an_attack_with_the_key_of_another(wmx: Any, claim: Path) -> None:
    Path("run").mkdir()
    assert wmx("keygen", "-o", "run/owner.pem").code == 0
    assert wmx(*CLAIM_NEW, "--key", "run/owner.pem", "-o", "run/claim.json").code == 0
    words = ("--claim", "run/claim.json", "--data", "digits", "-o", "attacks")
    for command in (("attack", "model.onnx", *words), ("verify", "model.onnx", *words[:2])):
        result = wmx(*command)
        assert result.code == 3
        assert "the claim run/claim.json was made with another owner key than" in result.err
        assert "store/owner.pem" in result.err
        assert "--key run/owner.pem" in result.err


def test_attacks_that_exist_and_settings_without_a_value(wmx: Any, claim: Path) -> None:
    words = ("attack", "model.onnx", "--claim", claim, "--data", "digits", "-o", "a")
    Path("a").mkdir()
    Path("a/attacks.json").write_text("{}")
    result = wmx(*words, "--attacks", "4-levels")
    assert result.code == 4
    assert all(option in result.err for option in ("--resume", "--force"))
    wrong = wmx(*words, "--set", "epochs")
    assert wrong.code == 2
    assert "expected FIELD=VALUE" in wrong.err


def test_after_keygen_the_key_that_made_the_claims_is_named(wmx: Any, claim: Path) -> None:
    assert wmx("keygen", "--force").code == 0
    result = wmx("verify", "model.onnx")
    assert result.code == 2
    assert "no claim of this owner key, and 1 of other keys" in result.err
    (option,) = [word for word in result.err.split() if word.endswith("owner.old-1.pem;")]
    assert wmx("verify", "model.onnx", "--key", option.rstrip(";")).code == 0


def test_a_framework_by_another_name(monkeypatch: pytest.MonkeyPatch) -> None:
    class Point:
        name = module = "keras_adapter"

        @staticmethod
        def load() -> None:
            raise ModuleNotFoundError("no keras", name="keras")

    monkeypatch.setattr("wmx.training.plugins._entry_points", lambda: {"keras": Point})
    with pytest.raises(Exception, match="the framework 'tensorflow' is 'keras' here"):
        load_adapter("tensorflow")


def test_a_claim_beside_an_evidence_file_of_another(wmx: Any, claim: Path) -> None:
    assert wmx("verify", "model.onnx", "--evidence", "e.json").code == 0
    assert wmx(*CLAIM_NEW, "-o", "other.json").code == 0
    result = wmx("check", "e.json", "--claim", "other.json")
    assert result.code == 3
    assert "leave out --claim" in result.err


def test_an_api_that_does_not_answer(wmx: Any, claim: Path, closed: str) -> None:
    result = wmx("verify", f"{closed}/v2/models/m", "--claim", claim)
    assert result.code == 4
    assert "is the server running" in result.err


def test_one_is_one(wmx: Any, claim: Path) -> None:
    assert "1 claim, expected two or more" in wmx("dispute", "model.onnx", "--claim", claim).err
    result = wmx("claim", "new", "--shape", "8", "--classes", "10", "-o", "c.json")
    assert "has 1 axis, expected 3" in result.err


@pytest.mark.parametrize("words", [(), ("verify",), ("claim",), ("claim", "new")])
def test_help_has_a_short_name(wmx: Any, words: Any) -> None:
    short, long = (wmx(*words, option) for option in ("-h", "--help"))
    assert (short.code, short.out) == (0, long.out)
    assert "Usage" in short.out


@pytest.mark.parametrize("words", [(), ("claim",), ("release",)])
def test_no_summary_of_a_command_is_cut_off(wmx: Any, words: Any) -> None:
    out = wmx(*words, "--help").out
    assert "..." not in out.replace("[ARGS]...", "")


def test_help_stands_alone_where_there_are_no_documents(wmx: Any) -> None:
    assert "docs/index.md" in wmx("--help").out
    assert "wmx release new --help" in wmx("release", "--help").out
    helps = {name: " ".join(wmx(name, "--help").out.split()) for name in ("embed", "attack")}
    assert "docs/recipes.md" not in helps["embed"]
    assert "torch, keras, jax or sklearn" in helps["embed"]
    assert "--set epochs=5" in helps["attack"]


def test_doctor_tells_limits_from_what_is_allowed(
    wmx: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wmx.cli.doctor._version", lambda name: None if name == "jax" else "1")
    result = wmx("doctor")
    assert "sandbox limits" in result.out
    assert "jax (jax is not installed)" in result.out
    assert "keras (" not in result.out
    for package in ("transformers", "skl2onnx", "rfc3161-client", "jinja2", "matplotlib"):
        assert package in wmx("doctor", "--json").json["versions"]


def test_info_says_which_scalings_are_tried(wmx: Any, claim: Path) -> None:
    said = wmx("info", "model.onnx", "--claim", claim).out
    assert "layout NCHW; scaling tried: the claim's, then 0..255" in said
