"""Files beside a model: what exporters write is read, and no secret is, whatever it is called."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import onnx_models

from wmx import OwnerKey, Watermark, open_suspect
from wmx.errors import CannotRunError, UsageError
from wmx.suspect import Sandbox
from wmx.suspect.policy.external_files import ExternalFiles, is_exporters_name
from wmx.suspect.policy.model_files import ModelFiles
from wmx.suspect.policy.secrets import HEAD_BYTES, kind_of_secret
from wmx.suspect.policy.streamed_file import PIECE_BYTES, StreamedFile
from wmx.suspect.sandbox.wire import Message, Streamed

BINARY = np.random.default_rng(0).bytes(5000)


@pytest.fixture(scope="module")
def model() -> bytes:
    return onnx_models.knows_labels(Watermark.new(OwnerKey.generate(), shape=(8, 8, 1), classes=10))


# names


@pytest.mark.parametrize(
    "name",
    [
        *("model.onnx.data", "model.onnx_data", "model.onnx_data_1", "model.onnx_data_12"),
        *("model.data", "model_ext.data", "model.bin", "model.onnx.bin", "model.weights"),
        *("model-00001-of-00003.onnx.data", "model-00002-of-00003.onnx_data"),
    ],
)
def test_names_that_exporters_make(name: str) -> None:
    assert is_exporters_name(name, "model.onnx")


@pytest.mark.parametrize(
    "name",
    [
        *("owner.pem", "claim.json", "weights.bin", "model.json", "model.pem", "model.safetensors"),
        *("model.onnx", "model", "other.onnx.data", "Model.onnx.data", "model.onnx.data.bak"),
        *("modelxonnx.data", "model.onnx.data\n", "model_data", "amodel.onnx.data", ""),
        *("model.onnx_data_99999", "model.onnx_data_", "model.onnx-1-of-3.data"),
    ],
)
def test_names_that_they_do_not_make(name: str) -> None:
    assert not is_exporters_name(name, "model.onnx")


@given(st.text(st.characters(exclude_characters="/\0"), min_size=1, max_size=30), st.text())
def test_a_name_is_taken_letter_by_letter(model: str, other: str) -> None:
    """Whatever the model is called: no letter of its name means anything but itself."""
    assert is_exporters_name(f"{model}.data", model)
    if not other.startswith(model.rsplit(".", 1)[0]):
        assert not is_exporters_name(other, model)


def test_what_exporters_write_is_read_as_it_is(model: bytes, tmp_path: Path) -> None:
    """Those that can be run here without a framework; PyTorch's name is that of onnxscript."""
    import onnx_ir
    from onnxruntime.quantization.onnx_model import ONNXModel

    proto = onnx.load_from_string(model)
    written = {name: tmp_path / name / "model.onnx" for name in ("ir", "shards", "ort", "slim")}
    for path in written.values():
        path.parent.mkdir()
    as_ir = onnx_ir.from_proto(proto)
    sizes: dict[str, Any] = {"size_threshold_bytes": 1}
    onnx_ir.save(as_ir, written["ir"], external_data="model.onnx.data", **sizes)
    onnx_ir.save(
        as_ir,
        written["shards"],
        external_data="model.onnx.data",
        max_shard_size_bytes=2000,
        **sizes,
    )
    ONNXModel(onnx.load_from_string(model)).save_model_to_file(str(written["ort"]), True)
    onnx.save(proto, written["slim"], save_as_external_data=True, location="model.onnx_data")
    for name, path in written.items():
        suspect = open_suspect(path)
        beside = {file.name for file in path.parent.iterdir()} - {"model.onnx"}
        assert set(suspect.reference.external) == beside, name
        assert beside, name
        suspect.close()
    assert len(list(written["shards"].parent.iterdir())) > 2


# contents


@given(st.integers(0, 2**32 - 1), st.integers(64, 3000), st.floats(1e-6, 1e6))
def test_weights_are_no_secret(seed: int, count: int, scale: float) -> None:
    values = np.random.default_rng(seed).normal(size=count) * scale
    for dtype in (np.float32, np.float64):
        assert kind_of_secret(values.astype(dtype).tobytes()) is None
    assert kind_of_secret((values / scale).astype(np.float16).tobytes()) is None
    eighths = np.clip(values / scale * 30, -127, 127).astype(np.int8)
    assert kind_of_secret(eighths.tobytes()) is None


@pytest.mark.parametrize("content", [b"", bytes(4096), np.ones(64, np.float32).tobytes()])
def test_numbers_without_surprise_are_none_either(content: bytes) -> None:
    assert kind_of_secret(content) is None


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1), st.booleans())
def test_text_in_any_usual_encoding_is_one(text: str, marked: bool) -> None:
    for encoding in ("utf-8", "utf-16-le", "utf-16-be") if text.isascii() else ("utf-8", "utf-16"):
        mark = "\ufeff" if marked else ""
        assert kind_of_secret(f"{mark}{text}\r\n".encode(encoding)) is not None


def test_a_secret_is_told_by_its_first_bytes() -> None:
    assert kind_of_secret(b"-----BEGIN OPENSSH PRIVATE KEY-----"[:HEAD_BYTES]) is not None
    assert kind_of_secret(b"{}") is not None
    assert kind_of_secret((20).to_bytes(8, "little") + b'{"triggers":{') is not None


# files


def test_sizes_count_before_a_file_is_opened(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"x" * 10)
    (tmp_path / "m.onnx.data").write_bytes(b"x" * 100)
    (tmp_path / "own").write_bytes(b"x" * 1000)
    (tmp_path / "else").write_bytes(b"x" * 10_000)
    assert ModelFiles(tmp_path / "m.onnx").size == 110
    assert ModelFiles(tmp_path / "m.onnx", [tmp_path / "own"]).size == 1110


def test_weights_lie_beside_the_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "below").mkdir()
    for path in ("m.onnx", "w", "below/w"):
        (tmp_path / path).write_bytes(BINARY)
    monkeypatch.chdir(tmp_path)
    assert set(ExternalFiles("m.onnx", ["./w"]).found(["w"])) == {"w"}
    assert set(ExternalFiles("below/../m.onnx", [tmp_path / "w"]).found(["w"])) == {"w"}
    for elsewhere in ("below/w", "nowhere/w"):
        with pytest.raises(UsageError, match="lies elsewhere than m"):
            ExternalFiles("m.onnx", [elsewhere])


def test_what_is_kept_apart_is_known_by_the_file_and_not_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "store").mkdir()
    for path in ("m.onnx", "m.bin", "store/m.data"):
        (tmp_path / path).write_bytes(BINARY)
    (tmp_path / "link").symlink_to(tmp_path / "m.bin")
    monkeypatch.chdir(tmp_path)
    for path in ("m.bin", "./store/../m.bin", "link", tmp_path):
        files = ExternalFiles("m.onnx", apart_from=lambda path=path: [path, "not-there", "\0"])  # type: ignore[misc]
        with pytest.raises(CannotRunError, match="reads as something else"):
            files.found(["m.bin"])
    (tmp_path / "store" / "m.onnx").write_bytes(BINARY)
    files = ExternalFiles("store/m.onnx", apart_from=lambda: ["store"])
    with pytest.raises(CannotRunError, match="reads as something else"):
        files.found(["m.data"])
    assert ExternalFiles("m.onnx", apart_from=lambda: ["store"]).found(["m.bin"])


def test_a_file_is_streamed_in_pieces_and_hashed_on_the_way(tmp_path: Path) -> None:
    content = BINARY * 700
    (tmp_path / "w").write_bytes(content)
    file = StreamedFile(tmp_path / "w", "file")
    pieces = list(file.pieces())
    assert b"".join(pieces) == content
    assert max(map(len, pieces)) <= PIECE_BYTES
    import hashlib

    assert file.sha256 == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("change", ["longer", "shorter", "another", "gone"])
def test_a_file_that_changes_after_it_was_looked_at_is_refused(tmp_path: Path, change: str) -> None:
    path = tmp_path / "w"
    path.write_bytes(BINARY)
    file = StreamedFile(path, "file")
    match change:
        case "longer":
            path.write_bytes(BINARY + b"x")
        case "shorter":
            path.write_bytes(BINARY[1:])
        case "another":
            (tmp_path / "other").write_bytes(BINARY)
            (tmp_path / "other").replace(path)
        case "gone":
            path.unlink()
    with pytest.raises(CannotRunError, match=r"was changed while it was read|no such file"):
        list(file.pieces())


def test_what_is_handed_on_is_checked_and_not_only_what_was_looked_at(tmp_path: Path) -> None:
    """Somebody who writes the file in place, between the look and the reading, gains nothing."""
    path, pem = tmp_path / "m.bin", OwnerKey.generate().to_pem()
    (tmp_path / "m.onnx").write_bytes(BINARY)
    path.write_bytes(BINARY[: len(pem)])
    (file,) = ExternalFiles(tmp_path / "m.onnx").found(["m.bin"]).values()
    path.write_bytes(pem)
    with pytest.raises(CannotRunError, match="a PEM file"):
        list(file.pieces())


def test_contents_follow_each_other_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name, content in {"m.onnx": b"m", "m.data": b"\1two", "m.bin": b"\2one"}.items():
        (tmp_path / name).write_bytes(content)
    files = ModelFiles(tmp_path / "m.onnx")
    model = files.model()
    assert isinstance(model, Streamed)
    sizes, contents = files.weights(["m.bin", "m.data"])
    assert (sizes, b"".join(contents.pieces())) == ([4, 4], b"\2one\1two")
    assert b"".join(model.pieces()) == b"m"
    assert list(files.reference.external) == ["m.bin", "m.data"]


# who looks into a model

WALKERS = {
    "wmx.suspect.policy.onnx_rules",
    "wmx.suspect.policy.ort_rules",
    "wmx.suspect.own_model",
    "wmx.suspect.worker",
    "wmx._internal.protobuf",
    "wmx._internal.flatbuffer",
    "onnx",
    "onnxruntime",
}


def test_every_module_that_looks_into_a_model_is_there() -> None:
    assert all(find_spec(name) for name in WALKERS)


def test_a_strangers_model_is_looked_into_in_its_own_process_alone(
    model: bytes, tmp_path: Path
) -> None:
    """Not even the modules that could do it are loaded where the key is."""
    onnx_models.save_with_weights_beside(model, tmp_path / "m.onnx", "m.onnx.data")
    OwnerKey.generate().save(tmp_path / "owner.pem")
    mark = Watermark.new(OwnerKey.load(tmp_path / "owner.pem"), shape=(8, 8, 1), classes=10)
    mark.claim.save(tmp_path / "claim.json")
    code = (
        "import sys; from wmx.cli import run; code = run(sys.argv[1:]);"
        f"loaded = {WALKERS} & set(sys.modules);"
        "assert code in (0, 1), code; assert not loaded, loaded"
    )
    held = ("--claim", "claim.json", "--key", "owner.pem")
    for words in (("verify", "m.onnx", *held), ("info", "m.onnx", "--claim", "claim.json")):
        subprocess.run([sys.executable, "-c", code, *words], check=True, cwd=tmp_path)


@pytest.mark.parametrize("apart", [False, True])
def test_a_model_in_one_file_takes_no_message_more_than_before(
    model: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, apart: bool
) -> None:
    """Confine, load, run: what other files it needs is asked only where it has some."""
    sent = []
    ask = Sandbox.ask

    def counted(sandbox: Sandbox, message: Message) -> Message:
        sent.append(message.kind)
        return ask(sandbox, message)

    monkeypatch.setattr(Sandbox, "ask", counted)
    if apart:
        onnx_models.save_with_weights_beside(model, tmp_path / "m.onnx", "m.onnx.data")
    else:
        (tmp_path / "m.onnx").write_bytes(model)
    open_suspect(tmp_path / "m.onnx").close()
    assert sent == ["confine", "load", *(["weights"] if apart else [])]
