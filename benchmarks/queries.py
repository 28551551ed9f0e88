"""How many inputs does an API have to answer until a mark is proved?

The exported ``robust`` models, trained on 70 % of the data, are served by the Open Inference
Protocol on loopback with three kinds of answers, and asked until the bits suffice.

    python benchmarks/queries.py --data mnist10k.npz
"""

import sys
from pathlib import Path
from typing import Any

import harness
import onnx
from onnx import TensorProto, helper
from robust_models import parsed, robust

from wmx import Watermark, verify
from wmx.suspect.endpoint.endpoint import Endpoint

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from support.oip_server import serving

REQUIRED = (64, 128)
ANSWERS = {"logits": None, "probabilities": "Softmax", "class numbers": "ArgMax"}


def answering(file: Path, predictions: str, classes: int) -> bytes:
    """Return the model with such answers as its one output."""
    model = onnx.load(file)
    last = ANSWERS[predictions]
    if last is not None:
        keywords = {"keepdims": 0} if last == "ArgMax" else {}
        scores = model.graph.output[0].name
        model.graph.node.append(helper.make_node(last, [scores], ["answer"], axis=1, **keywords))
        kind = TensorProto.INT64 if last == "ArgMax" else TensorProto.FLOAT
        dims = ["n"] if last == "ArgMax" else ["n", classes]
        model.graph.output[0].CopyFrom(helper.make_tensor_value_info("answer", kind, dims))
    data: bytes = model.SerializeToString()
    return data


def asked(model: bytes, watermark: Watermark) -> dict[str, int]:
    """Return how many inputs a server of the model was asked, by the bits that were wanted."""
    found = {}
    for bits in REQUIRED:
        with serving(model, binary=True) as server:
            verdict = verify(Endpoint.open(server.url), watermark, min_bits=bits)
            if not verdict.verified:
                raise ValueError(f"{verdict.bits} bits of {bits}")
            found[f"{bits} bits"] = server.asked
    return found


def main() -> None:
    arguments = parsed(__doc__)
    runs: list[dict[str, Any]] = []
    for seed in range(arguments.seeds):
        watermark, target, _, _ = robust(arguments, seed)
        models = {one: answering(target.model, one, watermark.task.classes) for one in ANSWERS}
        runs.append({predictions: asked(model, watermark) for predictions, model in models.items()})
        print(seed, runs[-1], flush=True)
    most = {
        bits: max(run[predictions][bits] for run in runs for predictions in ANSWERS)
        for bits in runs[0]["logits"]
    }
    harness.record(
        f"queries_{Path(arguments.data).stem}",
        {"data": Path(arguments.data).name, "most": most, "runs": runs},
    )


if __name__ == "__main__":
    main()
