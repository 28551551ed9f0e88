"""The command line: exit codes, what stands on stdout and stderr, and what is left on the disk."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx_models
import pytest

from wmx import Claim, OwnerKey, Watermark
from wmx.cli import run


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test has a store of its own and works in its own folder."""
    monkeypatch.setenv("WMX_HOME", str(tmp_path / "store"))
    monkeypatch.delenv("WMX_PASSPHRASE_FILE", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "store"


class Result:
    """What a command did."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def wmx(capsys: pytest.CaptureFixture[str]) -> Any:
    def call(*arguments: object) -> Result:
        capsys.readouterr()
        code = run([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Result(code, captured.out, captured.err)

    return call


CLAIM_NEW = ("claim", "new", "--shape", "8,8,1", "--classes", "10")


@pytest.fixture
def claim(wmx: Any) -> Path:
    """A key in the store, a claim beside it, and a model that knows its labels in model.onnx."""
    assert wmx("keygen").code == 0
    assert wmx(*CLAIM_NEW, "-o", "claim.json").code == 0
    watermark = Watermark.open(Claim.load("claim.json"), OwnerKey.load("store/owner.pem"))
    Path("model.onnx").write_bytes(onnx_models.knows_labels(watermark))
    Path("other.onnx").write_bytes(onnx_models.linear(watermark, seed=1))
    return Path("claim.json")


# keygen


def test_keygen_writes_a_key_that_only_its_owner_can_read(wmx: Any) -> None:
    result = wmx("keygen", "-o", "owner.pem")
    assert result.code == 0
    assert OwnerKey.load("owner.pem").public.hex() in result.out
    assert "PRIVATE" not in result.out
    assert Path("owner.pem").stat().st_mode & 0o777 == 0o600
    assert result.err == ""


def test_keygen_does_not_replace_a_key(wmx: Any) -> None:
    wmx("keygen", "-o", "owner.pem")
    before = Path("owner.pem").read_bytes()
    result = wmx("keygen", "-o", "owner.pem")
    assert result.code == 4
    assert "wmx: error: owner.pem exists already" in result.err
    assert "wmx: hint:" in result.err
    assert Path("owner.pem").read_bytes() == before
    assert wmx("keygen", "-o", "owner.pem", "--force").code == 0
    assert Path("owner.pem").read_bytes() != before


def test_keygen_without_a_name_fills_the_store(wmx: Any, home: Path) -> None:
    assert wmx("keygen").code == 0
    assert (home / "owner.pem").exists()
    assert home.stat().st_mode & 0o777 == 0o700


def test_a_key_with_a_passphrase(wmx: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("words").write_text("correct horse\n")
    monkeypatch.setenv("WMX_PASSPHRASE_FILE", "words")
    assert wmx("keygen", "-o", "owner.pem", "--passphrase").code == 0
    assert b"ENCRYPTED" in Path("owner.pem").read_bytes()
    new = (*CLAIM_NEW, "--key", "owner.pem", "-o")
    assert wmx(*new, "a.json").code == 0
    Path("words").write_text("wrong horse\n")
    result = wmx(*new, "b.json")
    assert result.code == 3
    assert "wrong passphrase" in result.err
    monkeypatch.delenv("WMX_PASSPHRASE_FILE")
    result = wmx(*new, "b.json")
    assert result.code == 3
    assert "WMX_PASSPHRASE_FILE" in result.err
    assert not Path("b.json").exists()


# claim


def test_a_claim_says_what_it_is_for_and_hides_the_triggers(wmx: Any, claim: Path) -> None:
    result = wmx("claim", "show", claim)
    assert result.code == 0
    assert "image 8x8x1, 10 classes" in result.out
    assert Claim.load(claim).digest in result.out
    assert wmx("claim", "show", claim, "--json").json["n"] == 100


def test_no_key_is_ever_made_silently(wmx: Any, home: Path) -> None:
    result = wmx(*CLAIM_NEW, "-o", "claim.json")
    assert result.code == 4
    assert "wmx keygen" in result.err
    assert not home.exists()
    assert not Path("claim.json").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--shape", "8,8", "--classes", "10"), "height, width, channels"),
        (("--shape", "8,8,1", "--classes", "1"), "classes is 1"),
        (("--shape", "8,eight,1", "--classes", "10"), "--shape"),
        (("--shape", "8,8,1", "--classes", "10", "--std", "0"), "std"),
        (("--shape", "8,8,1", "--classes", "10", "--mean", "a"), "--mean"),
        (("--shape", "8,8,1", "--classes", "10", "--range", "1"), "--range"),
        (("--shape", "8", "--classes", "10", "--kind", "features"), "quantiles"),
        (("--shape", "8", "--classes", "10", "--kind", "tokens"), "vocabulary"),
        (("--shape", "8,8,1", "--classes", "ten"), "'--classes'"),
        (("--shape", "8,8,1"), "--classes"),
    ],
)
def test_wrong_options_are_usage_errors_and_leave_nothing(
    wmx: Any, options: tuple[str, ...], message: str
) -> None:
    wmx("keygen")
    result = wmx("claim", "new", "-o", "claim.json", *options)
    assert result.code == 2
    assert result.err.startswith("wmx: error: ")
    assert message in result.err
    assert result.out == ""
    assert not Path("claim.json").exists()


def test_claims_over_features_and_tokens(wmx: Any) -> None:
    wmx("keygen")
    np.save("quantiles.npy", np.linspace(0, 1, 6 * 5).reshape(6, 5).round(4))
    features = ("--kind", "features", "--shape", "6", "--classes", "3")
    assert wmx("claim", "new", "-o", "f.json", *features, "--quantiles", "quantiles.npy").code == 0
    tokens = ("--kind", "tokens", "--shape", "32", "--classes", "2")
    special = ("--vocabulary", "5000", "--exclude", "0,1,2")
    assert wmx("claim", "new", "-o", "t.json", *tokens, *special).code == 0
    assert Claim.load("t.json").n == 256  # two classes need more triggers


def test_a_pickled_table_of_quantiles_is_refused(wmx: Any) -> None:
    wmx("keygen")
    np.save("quantiles.npy", np.array([[{}]], dtype=object), allow_pickle=True)
    options = ("--kind", "features", "--shape", "1", "--classes", "3")
    result = wmx("claim", "new", "-o", "f.json", *options, "--quantiles", "quantiles.npy")
    assert result.code == 2
    assert result.err.startswith("wmx: error: ")


def test_a_claim_over_ones_own_images(wmx: Any) -> None:
    from PIL import Image

    wmx("keygen")
    Path("pictures").mkdir()
    rng = np.random.default_rng(0)
    for number in range(100):
        pixels = rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(f"pictures/{number:03d}.png")
    options = ("--shape", "12,12,3", "--classes", "10", "--trigger-images", "pictures")
    result = wmx("claim", "new", "-o", "c.json", *options)
    assert result.code == 0
    secret = Path("c.triggers.safetensors")
    assert secret.stat().st_mode & 0o777 == 0o600
    owner = OwnerKey.load("store/owner.pem")
    from wmx.trigger_file import load_images

    watermark = Watermark.open(Claim.load("c.json"), owner, images=load_images(secret))
    Path("model.onnx").write_bytes(onnx_models.knows_labels(watermark))
    assert wmx("verify", "model.onnx", "--claim", "c.json", "--triggers", secret).code == 0
    assert wmx("verify", "model.onnx").code == 0  # the store keeps the images too
    assert wmx("info", secret).code == 0


# verify


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
    assert wmx("verify", "model.onnx", "--min-bits", "400").code == 1
    assert wmx("verify", "model.onnx", "--min-bits", "0").code == 2
    assert wmx("verify", "model.onnx", "--min-bits", "nan").code == 2


def test_key_and_claim_that_do_not_belong_together(wmx: Any, claim: Path) -> None:
    wmx("keygen", "-o", "thief.pem")
    result = wmx("verify", "model.onnx", "--claim", claim, "--key", "thief.pem")
    assert result.code == 3
    assert "this owner key did not make this claim" in result.err


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


# info, doctor


def test_info_on_every_kind_of_file(wmx: Any, claim: Path) -> None:
    assert "owner key" in wmx("info", "store/owner.pem").out
    assert wmx("info", "store/owner.pem", "--json").json["kind"] == "owner key"
    assert wmx("info", claim, "--json").json["kind"] == "claim"
    model = wmx("info", "model.onnx", "--claim", claim)
    assert "tensor(float) [?, 1, 8, 8]" in model.out
    assert "bound as  NCHW" in model.out
    assert wmx("info", "gone.onnx").code == 4


def test_doctor_shows_versions_and_providers(wmx: Any) -> None:
    result = wmx("doctor", "--json")
    assert result.code == 0
    document = result.json
    assert document["versions"]["numpy"] == np.__version__
    assert "CPUExecutionProvider" in document["providers"]
    assert "torch" in document["adapters"]
    assert document["problems"] == []


def test_doctor_sees_two_runtimes_and_names_the_cure(
    wmx: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from wmx.cli import doctor

    monkeypatch.setattr(doctor, "_version", lambda package: "1.31.1")
    result = wmx("doctor")
    assert result.code == 1
    assert "pip uninstall onnxruntime onnxruntime-gpu" in result.out


def test_doctor_sees_a_key_that_others_can_read(wmx: Any, claim: Path) -> None:
    Path("store/owner.pem").chmod(0o644)
    result = wmx("doctor")
    assert result.code == 1
    assert "chmod 600" in result.out


# usage


@pytest.mark.parametrize(
    "arguments", [("verfy",), ("verify",), ("verify", "a", "b"), ("verify", "a", "--nope")]
)
def test_usage_errors(wmx: Any, arguments: tuple[str, ...]) -> None:
    result = wmx(*arguments)
    assert result.code == 2
    assert result.out == ""
    assert re.match(r"wmx: error: .*\nwmx: hint: wmx.*--help\n$", result.err)


def test_json_is_printed_on_every_exit(wmx: Any, claim: Path) -> None:
    for arguments, code in (
        (("verify", "model.onnx"), 0),
        (("verify", "other.onnx"), 1),
        (("verify", "model.onnx", "--nope"), 2),
        (("verify", "model.onnx", "--claim", "model.onnx"), 3),
        (("verify", "gone.onnx"), 4),
    ):
        result = wmx(*arguments, "--json")
        assert result.code == code
        assert result.json["exit_code"] == code
        assert result.json["command"] == "verify"
        assert ("error" in result.json) == (code >= 2)


def test_help_lists_every_command(wmx: Any) -> None:
    result = wmx("--help")
    assert result.code == 0
    for command in ("demo", "keygen", "claim", "embed", "verify", "info", "doctor"):
        assert f"  {command} " in result.out
    assert wmx("--version").out.startswith("wmx 0.")


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from wmx.cli import run; run(['--help']);"
        "heavy = {'numpy', 'onnx', 'onnxruntime', 'torch', 'cryptography'} & set(sys.modules);"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_verify_imports_neither_a_framework_nor_onnx(claim: Path) -> None:
    code = (
        "import sys; from wmx.cli import run; assert run(['verify', 'model.onnx']) == 0;"
        "heavy = {'onnx', 'torch', 'rich', 'scipy'} & set(sys.modules);"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_the_script_itself(claim: Path) -> None:
    script = Path(sys.executable).with_name("wmx")
    done = subprocess.run([script, "verify", "model.onnx"], capture_output=True, check=False)
    assert done.returncode == 0
    assert done.stdout.startswith(b"VERIFIED")
    assert done.stderr == b""
    done = subprocess.run([script, "verify", "gone.onnx"], capture_output=True, check=False)
    assert done.returncode == 4


@pytest.mark.skipif(os.name != "posix", reason="pipes are closed differently elsewhere")
def test_a_reader_that_goes_away_is_no_traceback(claim: Path) -> None:
    script = Path(sys.executable).with_name("wmx")
    done = subprocess.run(
        ["/bin/sh", "-c", f"{script} info model.onnx | true"], capture_output=True, check=False
    )
    assert b"Traceback" not in done.stderr
