"""What commands write never takes the place of secrets and accounts, nor is missed too late."""

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import CLAIM_NEW, make_in

from wmx import OwnerKey
from wmx.cli import outputs
from wmx.errors import CannotRunError, LimitError, UsageError
from wmx.report.ownership import OwnershipReport
from wmx.training.weights import write_weights
from wmx.triggers.trigger_file import save_images

HELD = ("model.onnx", "--claim", "claim.json", "--key", "owner.pem", "--triggers", "t.safetensors")
WEIGHTS = ("--weights", "named")
PLACES = (
    "owner.pem",
    "claim.json",
    "model.onnx",
    "t.safetensors",
    "named",
    "model.onnx.data",
    "model.onnx_data_1",
    "store",
    "store/new",
    "store/claims/new.json",
    "owner.pem.spent",
    "owner.pem.spent/DIGEST.json",
    "owner.pem.spent/new.json",
    "owner.old-1.pem.spent/DIGEST.json",
    "other.pem.spent/new/deeper.json",
    "link.pem",
    "to-ledger/new.json",
)


@pytest.fixture
def held(claim: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> dict[Path, bytes]:
    """All that no output may replace, and its content; a model is never asked."""
    shutil.copy(home / "owner.pem", "owner.pem")
    for name in ("owner.pem.spent", "owner.old-1.pem.spent", "other.pem.spent"):
        Path(name).mkdir()
        (Path(name) / "DIGEST.json").write_text("the account")
    Path("link.pem").symlink_to("owner.pem")
    Path("to-ledger").symlink_to("owner.pem.spent")
    for name in ("t.safetensors", "named", "model.onnx.data"):
        Path(name).write_text("secret")
    Path("e.json").write_text("{}")

    def never(*_: object, **__: object) -> None:
        raise AssertionError("a model was asked")

    monkeypatch.setattr("wmx.verification.scan.best_match", never)
    return contents()


def contents() -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}


@pytest.mark.parametrize("place", PLACES)
def test_no_command_writes_over_secrets_and_accounts(
    wmx: Any, held: dict[Path, bytes], place: str
) -> None:
    held_without_triggers = ("e.json", "--model", "model.onnx", "--claim", "claim.json", *WEIGHTS)
    commands: list[tuple[object, ...]] = [
        ("verify", *HELD, *WEIGHTS, "--evidence", place),
        ("verify", *HELD, *WEIGHTS, "--report", place),
        ("release", *HELD, *WEIGHTS, "-o", place),
    ]
    if not place.startswith(("t.", "owner.pem", "link")) or "spent" in place:  # not those of check
        commands.append(("check", *held_without_triggers, "--report", place))
    if place.startswith(("store", "owner", "link", "other", "to-ledger")):
        commands.append((*CLAIM_NEW, "--key", "owner.pem", "-o", place))
    if "spent" in place or place.startswith(("store", "to-ledger")):
        commands.append(("claim", "timestamp", "claim.json", "--request", place))
        commands.append(("demo", "--out", place))
        commands.append(("embed", "--data", "digits", "--key", "owner.pem", "--out", place))
        commands.append(
            ("attack", *HELD[:5], "--data", "digits", "--attacks", "flip", "--out", place)
        )
    if "spent" in place or place == "store/claims/new.json":
        commands.append(("keygen", "-o", place))
    for words in commands:
        result = wmx(*words, "--force")
        assert result.code == 2, (words, result.err)
        said = "where no output may go", "which is reserved for a ledger"
        assert any(f"names {place}, {one}" in result.err for one in said)
    assert contents() == held


def test_a_claim_over_pictures_replaces_neither_them_nor_what_is_beside(
    wmx: Any, held: dict[Path, bytes]
) -> None:
    Path("pictures").mkdir()
    for option in (("-o", "pictures/claim.json"), ("-o", "pictures")):
        words = (*CLAIM_NEW, "--key", "owner.pem", "--trigger-images", "pictures", "--force")
        assert "names pictures" in wmx(*words, *option).err
    words = ("embed", "--data", "digits", "--key", "owner.pem", "--trigger-images", "pictures")
    assert "names pictures" in wmx(*words, "--out", "pictures/run", "--force").err
    shutil.copy("owner.pem", "c.triggers.safetensors")  # what a claim c.json would write
    key = ("--key", "c.triggers.safetensors", "--trigger-images", "pictures", "--force")
    result = wmx(*CLAIM_NEW, *key, "-o", "c.json")
    assert (result.code, Path("c.json").exists()) == (2, False)
    assert Path("c.triggers.safetensors").read_bytes() == held[Path("owner.pem")]


def test_the_files_in_a_folder_of_results_are_looked_at_too() -> None:
    Path("out").mkdir()
    Path("out/model.onnx").write_text("a key")
    with pytest.raises(UsageError, match=r"names out/model\.onnx"):
        outputs.prepare_folder(
            "--out", Path("out"), (), names=["model.onnx"], key=Path("out/model.onnx")
        )
    outputs.prepare_folder(
        "--out", Path("out"), (), names=["other.onnx"], key=Path("out/model.onnx")
    )
    OwnerKey.generate().save("out/claim.json")
    with pytest.raises(CannotRunError, match=r"out/claim\.json exists and is a key"):
        outputs.prepare_folder("--out", Path("out"), (), names=["claim.json"], force=True)
    with pytest.raises(CannotRunError, match="is a file, expected a folder"):
        outputs.prepare_folder("--out", Path("out/model.onnx"), ())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--pretrained", "run/weights.safetensors", "--data", "digits"), "run/weights"),
        (("--pretrained", "run/replacement/weights.safetensors", "--data", "digits"), "run/repl"),
        (("--data", "run"), "names run,"),
        (("--data", "run/model.onnx"), "run/model"),
        (("--data", "cifar10:run"), "names run,"),
    ],
)
def test_what_a_training_starts_from_is_not_replaced_by_its_results(
    wmx: Any, home: Path, words: tuple[str, ...], said: str
) -> None:
    for name in ("run/weights.safetensors", "run/replacement/weights.safetensors"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text("weights")
    Path("run/model.onnx").write_text("data")
    before = contents()
    result = wmx("embed", *words, "-o", "run", "--force")
    assert result.code == 2
    assert said in result.err
    assert "in use by this command" in result.err
    assert contents() == before


def test_samples_to_attack_with_are_not_among_the_results(wmx: Any, home: Path) -> None:
    Path("photos").mkdir()
    for words in (("--data", "photos"), ("--data", "digits", "--transfer-data", "photos")):
        result = wmx("attack", "model.onnx", *words, "--out", "photos")
        assert result.code == 2
        assert "names photos, where no output may go: photos is in use" in result.err


def test_the_token_and_the_passphrase_are_no_output(
    wmx: Any, held: dict[Path, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("token", "passphrase", "roots.pem"):
        Path(name).write_text("secret")
    monkeypatch.setenv("WMX_PASSPHRASE_FILE", "passphrase")
    words = ("verify", "https://localhost/v2/models/m", "--token-file", "token")
    for name in ("token", "passphrase", "roots.pem"):
        result = wmx(*words, "--roots", "roots.pem", "--report", name, "--force")
        assert (result.code, Path(name).read_text()) == (2, "secret")


def test_a_key_may_lie_beside_the_stores_own(wmx: Any, home: Path) -> None:
    assert wmx("keygen").code == 0
    assert wmx("keygen", "-o", home / "second.pem").code == 0
    assert wmx("keygen", "-o", home / "owner.pem", "--force").code == 0
    assert (home / "owner.old-1.pem").exists()
    assert wmx("keygen", "-o", home / "claims" / "key.pem").code == 2


VERIFY = ("verify", "model.onnx", "--claim", "claim.json")
OUTPUTS = {
    "an evidence file": (*VERIFY, "--min-bits", "32", "--evidence"),
    "an HTML page": ("verify", "model.onnx", "--report"),
    "a release record": ("release", "model.onnx", "--claim", "claim.json", "-o"),
    "a claim": (*CLAIM_NEW, "-o"),
    "a timestamp request": ("claim", "timestamp", "claim.json", "--request"),
}


@pytest.fixture(scope="module")
def written_once(claimed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what each command of OUTPUTS writes."""
    folder = shutil.copytree(claimed, tmp_path_factory.mktemp("outputs"), dirs_exist_ok=True)
    make_in(folder, *((*words, f"old {kind}") for kind, words in OUTPUTS.items()))
    return folder


@pytest.fixture
def kinds(written_once: Path, home: Path) -> dict[str, Path]:
    """A file of every kind; none of them is named by any other option of a command."""
    shutil.copytree(written_once, Path(), dirs_exist_ok=True)
    found = {kind: Path(f"old {kind}") for kind in OUTPUTS}
    found["a key"] = Path(shutil.copy(home / "owner.pem", "my.old-1.pem"))
    found["a model"] = Path("other.onnx")
    found["a file of secret trigger images"] = Path("images")
    save_images("images", np.zeros((2, 8, 8, 1), np.uint8))
    found["a file of secret trigger images or of weights"] = Path("weights")
    write_weights(Path("weights"), {"w": np.zeros(3, np.float32)})
    found["no file that wmx writes"] = Path("notes")
    Path("notes").write_text("mine")
    return found


@pytest.mark.parametrize("written", OUTPUTS)
def test_force_replaces_a_file_of_the_same_kind_alone(
    wmx: Any, kinds: dict[str, Path], written: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    words, before = OUTPUTS[written], contents()
    with monkeypatch.context() as patched:
        patched.setattr("wmx.verification.scan.best_match", None)  # nothing is queried
        for kind, path in kinds.items():
            if kind != written:
                result = wmx(*words, path, "--force")
                assert result.code == 4, (kind, result.err)
                assert f"{path} exists and is {kind}, expected" in result.err
                assert f"expected {written}: no other kind" in result.err
    assert contents() == before
    Path("empty").touch()
    for path in (kinds[written], Path("empty")):
        result = wmx(*words, path, "--force")
        assert result.code == 0, result.err
        assert path.read_bytes() != before.get(path, b"")


def test_the_page_of_check_replaces_no_key_that_it_is_not_told_of(
    wmx: Any, kinds: dict[str, Path]
) -> None:
    key, page = kinds["a key"], kinds["an HTML page"]
    before = key.read_bytes(), page.read_bytes()
    words = ("check", kinds["an evidence file"], "--min-bits", 1, "--force", "--report")
    assert wmx(*words, key).code == 4
    assert wmx(*words, page).code == 1, "not repeated"
    assert key.read_bytes() == before[0]
    assert page.read_bytes() != before[1]


# places that take no file


@pytest.mark.parametrize("force", [(), ("--force",)])
@pytest.mark.parametrize("place", ["folder", "pipe", "n" * 256, "/proc/new", "nowhere/new"])
def test_a_place_that_takes_no_file_is_told_before_a_model_is_asked(
    wmx: Any, held: dict[Path, bytes], place: str, force: tuple[str, ...]
) -> None:
    Path("folder").mkdir()
    os.mkfifo("pipe")
    for words in (
        ("verify", *HELD, "--evidence", place),
        ("verify", *HELD, "--report", place),
        ("release", *HELD, "-o", place),
        ("check", "e.json", "--report", place),
        ("claim", "timestamp", "claim.json", "--request", place),
        (*CLAIM_NEW, "--key", "owner.pem", "-o", place),
        ("keygen", "-o", place),
    ):
        result = wmx(*words, *force)
        assert result.code == 4, (words, result.err)
        assert f"cannot write {place}: " in result.err or "no such folder: nowhere" in result.err
    assert contents() == held


def test_a_model_with_a_long_name_has_its_evidence_or_spends_nothing(
    wmx: Any, claim: Path, home: Path
) -> None:
    long = Path("m" * 245 + ".onnx")
    shutil.copy("model.onnx", long)
    result = wmx("verify", long, "--evidence", f"{long}.evidence.json")
    assert result.code == 4
    assert "File name too long" in result.err
    assert not (home / "owner.pem.spent").exists()
    fitting = f"{long.stem[:235]}.evidence.json"
    assert wmx("verify", long, "--evidence", fitting, "--force").code == 0
    assert wmx("check", fitting, "--model", long).code == 0


# an evidence whose page cannot be written


@pytest.mark.parametrize(
    "error",
    [
        CannotRunError("no space left"),
        pytest.param(LimitError("out of time"), marks=pytest.mark.slow),
        MemoryError(),
    ],
)
def test_a_page_that_fails_behind_an_evidence_is_a_warning(
    wmx: Any, claim: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def failing(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(OwnershipReport, "write", failing)
    words = ("verify", "model.onnx", "--report", "page.html", "--json")
    assert wmx(*words).code == 4, "nothing was spent"
    result = wmx(*words, "--evidence", "e.json")
    assert (result.code, result.json["exit_code"]) == (0, 0)
    assert (result.json["report"], result.json["evidence"]["path"]) == (None, "e.json")
    assert f"warning: the report could not be written: {error or 'out of memory'}" in result.err
    assert "the evidence file e.json was written, and its triggers are spent" in result.err
    assert wmx("check", "e.json", "--model", "model.onnx").code == 0
    text = wmx("verify", "model.onnx", "--report", "page.html", "--evidence", "e2.json")
    assert text.code == 0
    assert "not written" in text.out
