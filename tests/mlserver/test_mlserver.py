"""A real server: MLServer from its package, in an environment of its own, on loopback."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from support import onnx_models

from wmx import OwnerKey, Watermark, verify
from wmx.suspect.endpoint.endpoint import Endpoint
from wmx.suspect.request_policy import RequestPolicy

HERE = Path(__file__).parent
LIMIT = 120  # seconds; only a server that never starts takes so long
DATATYPES = {"tensor(float)": "FP32", "tensor(int64)": "INT64", "tensor(string)": "BYTES"}
OWNER = OwnerKey.generate()
OUTPUTS = ("logits", "probabilities", "labels")


@pytest.fixture(scope="module")
def watermark() -> Watermark:
    return Watermark.new(OWNER, shape=(12, 10, 1), classes=10, mean=0.4, std=0.3)


def ports(values: list[onnxruntime.NodeArg]) -> list[dict[str, object]]:
    """Describe inputs or outputs as MLServer's settings do; -1 is any size."""
    return [
        {
            "name": one.name,
            "datatype": DATATYPES[one.type],
            "shape": [size if isinstance(size, int) else -1 for size in one.shape],
        }
        for one in values
    ]


def settle(folder: Path, name: str, model: bytes) -> None:
    """Put a model into the server's repository."""
    home = folder / name
    home.mkdir()
    (home / "model.onnx").write_bytes(model)
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    settings = {
        "name": name,
        "implementation": "served_onnx.Onnx",
        "platform": "onnx",
        "inputs": ports(session.get_inputs()),
        "outputs": ports(session.get_outputs()),
        "parameters": {"uri": str(home / "model.onnx")},
    }
    (home / "model-settings.json").write_text(json.dumps(settings))


def free_ports(count: int) -> list[int]:
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    found = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return found


@pytest.fixture(scope="module")
def server(watermark: Watermark, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start MLServer with a marked model for each kind of output, and an unmarked one."""
    program = os.environ.get("MLSERVER") or shutil.which("mlserver")
    if program is None:
        pytest.fail("no mlserver: `make mlserver` makes its environment and runs these tests")
    folder = tmp_path_factory.mktemp("models")
    for output in OUTPUTS:
        settle(folder, output, onnx_models.knows_labels(watermark, output=output))
    settle(folder, "unmarked", onnx_models.linear(watermark, 1))
    http, grpc, metrics = free_ports(3)
    address = {"host": "127.0.0.1", "http_port": http, "grpc_port": grpc, "metrics_port": metrics}
    (folder / "settings.json").write_text(json.dumps({**address, "parallel_workers": 0}))
    log = (folder / "server.log").open("wb")
    running = subprocess.Popen(
        [program, "start", folder],
        env=os.environ | {"PYTHONPATH": str(HERE)},
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    url = f"http://127.0.0.1:{http}"
    try:
        wait_for(f"{url}/v2/health/ready", running, folder / "server.log")
        yield url
    finally:
        running.kill()
        running.wait()
        log.close()


def wait_for(url: str, running: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + LIMIT
    while time.monotonic() < end and running.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    pytest.fail(f"the server did not start: {log.read_text(errors='replace')[-2000:]}")


@pytest.mark.parametrize("output", OUTPUTS)
def test_a_mark_is_found_within_24_queries(server: str, watermark: Watermark, output: str) -> None:
    asked = Endpoint.open(f"{server}/v2/models/{output}")
    verdict = verify(asked, watermark, min_bits=64)
    assert verdict.verified
    assert verdict.n <= 24
    assert verdict.engine == "Open Inference Protocol 2, onnx"


def test_an_unmarked_model_is_not_verified(server: str, watermark: Watermark) -> None:
    verdict = verify(Endpoint.open(f"{server}/v2/models/unmarked"), watermark)
    assert not verdict.verified
    assert verdict.bits < 20


def test_what_it_answers_is_what_onnxruntime_does(server: str, watermark: Watermark) -> None:
    model = onnx_models.knows_labels(watermark)
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    suspect = Endpoint.open(f"{server}/v2/models/logits", request_policy=RequestPolicy(retries=0))
    feeding = suspect.feedings(watermark.task)[0]
    (predictions,) = suspect.predictions(feeding, watermark.triggers[:5], watermark.task).values()
    fed = feeding.fed(watermark.triggers[:5], watermark.task)
    np.testing.assert_allclose(predictions.scores, session.run(None, fed)[0], rtol=1e-6)


def test_the_command_line_verifies_it(server: str, watermark: Watermark, tmp_path: Path) -> None:
    OWNER.save(tmp_path / "key.pem")
    watermark.claim.save(tmp_path / "claim.json")
    wmx = Path(sys.executable).with_name("wmx")
    found = subprocess.run(
        [wmx, "verify", f"{server}/v2/models/logits", "--claim", "claim.json", "--key", "key.pem"],
        check=False,
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert found.returncode == 0, found.stderr
    assert found.stdout.startswith("VERIFIED")
