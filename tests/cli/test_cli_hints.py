"""Errors say what was found, what was expected, and what to do: in the words of the command."""

import json
import os
import socket
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from commands import CLAIM_NEW
from safetensors.numpy import save_file

from wmx._internal.files import sha256_of
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


def test_an_api_that_does_not_answer(wmx: Any, claim: Path, closed: str, no_pauses: None) -> None:
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


def test_a_forgotten_key_is_the_one_that_made_the_claim(wmx: Any, claim: Path) -> None:
    """A new key never opens a claim that is there already."""
    Path("store/owner.pem").rename("owner.pem")
    result = wmx("verify", "model.onnx", "--claim", claim)
    assert result.code == 4
    assert "needs the key that made it" in result.err
    assert "--key owner.pem" in result.err
    assert "keygen" not in result.err
    assert wmx("verify", "model.onnx", "--claim", claim, "--key", "owner.pem").code == 0


def test_evidence_and_claims_in_the_place_of_a_model(wmx: Any, claim: Path) -> None:
    assert wmx("verify", "model.onnx", "--evidence", "e.json").code == 0
    result = wmx("verify", "e.json", "--claim", claim)
    assert result.code == 4
    assert "is an evidence file or a release record, expected an ONNX file" in result.err
    assert "wmx check" in result.err
    result = wmx("verify", claim)
    assert result.code == 4
    assert "is a claim" in result.err


def test_evidence_about_another_file_says_which_and_what_to_do(wmx: Any, claim: Path) -> None:
    assert wmx("verify", "model.onnx", "--evidence", "e.json").code == 0
    about = sha256_of("model.onnx", "model")
    found = onnx.load("model.onnx")
    found.producer_name = "another"
    onnx.save(found, "other.onnx")
    result = wmx("check", "e.json", "--model", "other.onnx")
    assert result.code == 3
    assert about in result.err
    assert sha256_of("other.onnx", "model") in result.err
    assert "ask the owner for evidence about this one" in result.err


def test_too_few_triggers_to_reveal_says_to_reveal_more(wmx: Any, claim: Path) -> None:
    result = wmx("verify", "model.onnx", "--evidence", "e.json", "--reveal", "20")
    assert result.code == 4
    assert "--reveal all" in result.err
    assert "--min-bits" not in result.err


@pytest.mark.parametrize(
    ("y", "said"),
    [
        (np.array(["a", "b"] * 10), "np.unique"),
        (np.eye(2)[[0, 1] * 10], "y.argmax(axis=1)"),
        (np.array([0.0, 1.0] * 10), "y.astype(int)"),
    ],
)
def test_labels_that_are_no_class_numbers(wmx: Any, y: Any, said: str) -> None:
    assert wmx("keygen").code == 0
    np.savez("data.npz", x=np.zeros((20, 8, 8), np.uint8), y=y)
    result = wmx("embed", "--data", "data.npz", "-o", "out")
    assert result.code == 2
    assert said in result.err
    assert "<U" not in result.err
    np.savez("data.npz", X=np.zeros((20, 8, 8), np.uint8), Y=y)
    result = wmx("embed", "--data", "data.npz", "-o", "out")
    assert "in small letters" in result.err


def test_pixels_of_few_levels_are_warned_of(wmx: Any) -> None:
    """Digits of scikit-learn have levels 0 to 16, and the claim would say 0 to 255."""
    assert wmx("keygen").code == 0
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 17, (40, 8, 8), dtype=np.uint8), np.arange(40) % 2
    np.savez("data.npz", x=x, y=y)
    words = ("embed", "--data", "data.npz", "--model", "gone:gone", "-o", "out")
    assert "warning: the images hold 0 to 16" in wmx(*words).err
    np.savez("data.npz", x=x * 15, y=y)
    assert "warning" not in wmx(*words).err


def test_a_function_that_is_not_there(wmx: Any, claim: Path) -> None:
    Path("a_client.py").write_text("import os\ndef ask(x): return x\ndef _own(x): return x\n")
    result = wmx("verify", "--callable", "a_client:ak", "--claim", claim)
    assert result.code == 2
    assert "it has ask" in result.err
    assert "_own" not in result.err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("returned", "scores", "said"),
    [
        ("np.ones((len(x), 9)) * np.arange(9)", [9], "9 for each input, and the claim has 10"),
        ("np.ones((len(x), 12)) * np.linspace(0, 1, 12)", [12], "12 for each input, and the"),
        ("np.arange(len(x)) % 3 + 50", [10], "classes that are none of the claim's 10"),
        ("np.ones((len(x), 10)) * np.arange(10)", [10], None),
    ],
)
def test_a_verdict_says_what_does_not_fit_the_classes_of_the_claim(
    wmx: Any, claim: Path, returned: str, scores: list[int], said: str | None
) -> None:
    Path("b_client.py").write_text(f"import numpy as np\ndef ask(x): return {returned}\n")
    sys.modules.pop("b_client", None)
    words = ("verify", "--callable", "b_client:ask", "--claim", claim)
    text, fields = wmx(*words), wmx(*words, "--json")
    assert text.code == fields.code == 1
    assert fields.json["scores"] == scores
    assert ("is it the model that was meant?" in text.out) == (said is not None)
    assert said is None or said in text.out


@pytest.mark.skipif(os.name != "posix", reason="modes are those of POSIX")
def test_a_key_that_everybody_can_read_is_warned_of(wmx: Any, claim: Path) -> None:
    words = ("verify", "model.onnx", "--claim", claim)
    assert wmx(*words).err == ""
    Path("store/owner.pem").chmod(0o644)
    result = wmx(*words)
    assert result.code == 0
    assert "can read the key" in result.err
    assert "chmod 600" in result.err
