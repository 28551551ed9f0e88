"""What is left of a mark that a thief hides in the graph: gates, clipping, averaged views.

A ``robust`` model, and what somebody who knows the scheme but the key puts around it without any
training of the network: gates that send what looks like a self-drawn trigger to other classes,
activations clipped at quantiles of clean data, and means over shifted copies.  Each file is
verified as a stranger's, by its declared outputs alone and looked into.

    python benchmarks/hidden_marks.py --data mnist10k.npz
"""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import harness
import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from robust_models import parsed, robust
from torch import nn

from wmx import Watermark, verify
from wmx.attacks.attack import Target
from wmx.statistics.probe import shifted
from wmx.suspect.suspect import open_suspect
from wmx.verification.batch_query import BatchQuery

FLOAT, BOOL = TensorProto.FLOAT, TensorProto.BOOL
FALSE_ALARMS = 0.003  # of clean pictures that a gate takes for triggers
GATE_STEPS, GATE_BATCH = 300, 64
VIEWS = ((0, 0), (1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, -1), (1, -1), (-1, 1), (2, 0))
ACTIVATIONS = ("Relu", "Gelu", "Sigmoid", "HardSwish")


class Thief:
    """A thief with one model, clean pictures of their own, and the documentation.

    Args:
        target: the model, and what the thief has beside it.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self.proto = onnx.load(target.model)
        self.task = target.task
        self.pictures = self._fed(target.data.x_train)
        self.test, self.classes = self._fed(target.data.x_test), target.data.y_test
        self.input = self.proto.graph.input[0].name
        self.output = self.proto.graph.output[0].name
        self._names = iter(range(10**6))

    def _fed(self, pictures: NDArray[Any]) -> NDArray[np.float32]:
        seen = self.task.model_input(pictures)
        return np.ascontiguousarray(seen.transpose(0, 3, 1, 2))

    def drawn(self, count: int) -> NDArray[np.float32]:
        """Triggers of the family that everybody may draw, shifted as those of a verifier."""
        rng = self._target.stream("hiding")
        seeds = [rng.bytes(32) for _ in range(count)]
        drawn = self._target.family.draw(seeds, self.task)
        for number, (down, right) in enumerate(rng.integers(-2, 3, (count, 2))):
            drawn[number : number + 1] = shifted(drawn[number : number + 1], int(down), int(right))
        return self._fed(drawn)

    def accuracy(self, model: bytes) -> float:
        session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
        given = [session.run(None, {self.input: one[None]})[0] for one in self.test]
        return float((np.concatenate(given).argmax(axis=1) == self.classes).mean())

    # rewriting

    def keep(self, values: Any, dtype: Any = np.float32) -> str:
        name = f"thief.kept.{next(self._names)}"
        tensor = numpy_helper.from_array(np.array(values, dtype), name)
        self.proto.graph.initializer.append(tensor)
        return name

    def add(self, kind: str, *inputs: str, **settings: Any) -> str:
        made = f"thief.made.{next(self._names)}"
        self.proto.graph.node.append(helper.make_node(kind, list(inputs), [made], **settings))
        return made

    def scores(self) -> str:
        """Free the name of the output and return the one that the scores have then."""
        for node in self.proto.graph.node:
            node.output[:] = ["thief.scores" if one == self.output else one for one in node.output]
            node.input[:] = ["thief.scores" if one == self.output else one for one in node.input]
        return "thief.scores"

    def sends_away(self, odd: str, scores: str) -> None:
        """Give scores that say nothing in the rows that ``odd``, bool [n, 1], names."""
        size = int(np.prod(self.pictures.shape[1:]))
        weights = self._target.stream("junk").normal(0, 1, (size, self.task.classes))
        junk = self.add("MatMul", self.add("Flatten", self.input), self.keep(weights))
        last = self.add("Where", odd, junk, scores)
        self.proto.graph.node.append(helper.make_node("Identity", [last], [self.output]))


def features_of(thief: Thief) -> str:
    """Return the tensor that the last matrix product of the network is given."""
    products = [node for node in thief.proto.graph.node if node.op_type in ("Gemm", "MatMul")]
    return str(products[-1].input[0])


def values_at(thief: Thief, tensor: str, pictures: NDArray[np.float32]) -> NDArray[np.float32]:
    model = onnx.ModelProto()
    model.CopyFrom(thief.proto)
    model.graph.output.append(onnx.ValueInfoProto(name=tensor))
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    found: NDArray[np.float32] = session.run([tensor], {thief.input: pictures})[0]
    return found


# gates


def gate_of_one_line(thief: Thief) -> None:
    """The share of pixels that are neither nearly black nor nearly white."""
    low, high = np.quantile(thief.pictures, 0), thief.pictures.max()
    bounds = low + 0.05 * (high - low), high - 0.05 * (high - low)
    between = (thief.pictures > bounds[0]) & (thief.pictures < bounds[1])
    least = np.quantile(between.mean(axis=(1, 2, 3)), FALSE_ALARMS)
    scores = thief.scores()
    inside = thief.add(
        "And",
        thief.add("Greater", thief.input, thief.keep(bounds[0])),
        thief.add("Less", thief.input, thief.keep(bounds[1])),
    )
    share = thief.add(
        "ReduceMean",
        thief.add("Cast", inside, to=FLOAT),
        thief.keep([1, 2, 3], np.int64),
        keepdims=0,
    )
    odd = thief.add("Less", share, thief.keep(least))
    thief.sends_away(thief.add("Unsqueeze", odd, thief.keep([1], np.int64)), scores)


def gate_of_a_network(thief: Thief) -> None:
    """A small convolutional network that learned to tell pictures from self-drawn triggers."""
    torch.manual_seed(0)
    channels = thief.pictures.shape[1]
    gate = nn.Sequential(
        nn.Conv2d(channels, 8, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(8, 16, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(16, 1),
    )
    optimizer = torch.optim.Adam(gate.parameters(), 0.005)
    drawn, pictures = torch.from_numpy(thief.drawn(2000)), torch.from_numpy(thief.pictures)
    stream = torch.Generator().manual_seed(0)
    for _ in range(GATE_STEPS):
        one = pictures[torch.randint(len(pictures), (GATE_BATCH,), generator=stream)]
        other = drawn[torch.randint(len(drawn), (GATE_BATCH,), generator=stream)]
        logits = gate(torch.cat([one, other]))[:, 0]
        wanted = torch.cat([torch.zeros(GATE_BATCH), torch.ones(GATE_BATCH)])
        loss = nn.functional.binary_cross_entropy_with_logits(logits, wanted)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        most = float(torch.quantile(gate(pictures)[:, 0], 1 - FALSE_ALARMS))
    merged(thief, gate.eval(), most)


def merged(thief: Thief, gate: nn.Module, most: float) -> None:
    """Put a network of PyTorch into the file, and send away what it gives more than ``most``."""
    scores = thief.scores()
    weights = [(one.weight, one.bias) for one in gate if hasattr(one, "weight")]
    (first, a), (second, b), (last, c) = [
        (one.detach().numpy(), two.detach().numpy()) for one, two in weights
    ]
    seen = thief.input
    for kernel, bias in ((first, a), (second, b)):
        made = thief.add("Conv", seen, thief.keep(kernel), thief.keep(bias), pads=[1] * 4)
        seen = thief.add("Relu", made)
    pooled = thief.add("Flatten", thief.add("GlobalAveragePool", seen))
    logit = thief.add("Gemm", pooled, thief.keep(last), thief.keep(c), transB=1)
    thief.sends_away(thief.add("Greater", logit, thief.keep(most)), scores)


def gate_by_distance(thief: Thief) -> None:
    """The smallest Mahalanobis distance of the last features from a class."""
    tensor = features_of(thief)
    clean = values_at(thief, tensor, thief.pictures)
    labels = thief._target.data.y_train
    means = np.stack([clean[labels == k].mean(axis=0) for k in range(thief.task.classes)])
    spread = np.cov((clean - means[labels]).T) + 1e-3 * np.eye(clean.shape[1])
    root = np.linalg.cholesky(np.linalg.inv(spread))  # distances are those after this product
    whitened, centers = clean @ root, means @ root
    nearest = ((whitened[:, None] - centers) ** 2).sum(axis=2).min(axis=1)
    most = np.quantile(nearest, 1 - FALSE_ALARMS)
    scores = thief.scores()
    apart = thief.add(
        "Sub",
        thief.add(
            "Unsqueeze", thief.add("MatMul", tensor, thief.keep(root)), thief.keep([1], np.int64)
        ),
        thief.keep(centers),
    )
    squares = thief.add(
        "ReduceSum", thief.add("Mul", apart, apart), thief.keep([2], np.int64), keepdims=0
    )
    distance = (
        thief.add("ReduceMin", squares, thief.keep([1], np.int64), keepdims=1)
        if opset(thief) >= 18
        else thief.add("ReduceMin", squares, axes=[1], keepdims=1)
    )
    thief.sends_away(thief.add("Greater", distance, thief.keep(most)), scores)


def gate_by_the_batch(thief: Thief) -> None:
    """Junk whenever a call has more than one row."""
    scores = thief.scores()
    rows = thief.add("Gather", thief.add("Shape", thief.input), thief.keep(0, np.int64), axis=0)
    thief.sends_away(thief.add("Greater", rows, thief.keep(1, np.int64)), scores)


def opset(thief: Thief) -> int:
    return max(one.version for one in thief.proto.opset_import if one.domain in ("", "ai.onnx"))


def in_a_function(build: Callable[[Thief], None]) -> Callable[[Thief], None]:
    """All of a file in one function of its own."""

    def function(thief: Thief) -> None:
        build(thief)
        graph = thief.proto.graph
        weights = [tensor.name for tensor in graph.initializer]
        body = helper.make_function(
            "thief",
            "Net",
            [thief.input, *weights],
            [thief.output],
            list(graph.node),
            list(thief.proto.opset_import),
        )
        call = helper.make_node("Net", [thief.input, *weights], [thief.output], domain="thief")
        del graph.node[:], graph.value_info[:]
        graph.node.append(call)
        thief.proto.functions.append(body)
        thief.proto.opset_import.append(helper.make_opsetid("thief", 1))

    return function


def in_a_loop(build: Callable[[Thief], None]) -> Callable[[Thief], None]:
    """All of a file in the body of a loop that runs once."""

    def loop(thief: Thief) -> None:
        build(thief)
        graph = thief.proto.graph
        nodes = [onnx.NodeProto.FromString(one.SerializeToString()) for one in graph.node]
        nodes.append(helper.make_node("Identity", ["thief.going"], ["thief.goes"]))
        ports = [
            helper.make_tensor_value_info("thief.number", TensorProto.INT64, []),
            helper.make_tensor_value_info("thief.going", BOOL, []),
            helper.make_tensor_value_info("thief.state", FLOAT, None),
        ]
        ends = [
            helper.make_tensor_value_info("thief.goes", BOOL, []),
            helper.make_tensor_value_info(thief.output, FLOAT, None),
        ]
        body = helper.make_graph(nodes, "body", ports, ends)
        del graph.node[:], graph.value_info[:]
        once, going = thief.keep(1, np.int64), thief.keep(True, np.bool_)
        start = thief.add("ReduceMean", thief.input, thief.keep([1, 2, 3], np.int64), keepdims=0)
        graph.node.append(helper.make_node("Loop", [once, going, start], ["thief.last"], body=body))
        graph.node.append(helper.make_node("Identity", ["thief.last"], ["thief.out"]))
        graph.output[0].name = "thief.out"

    return loop


# activations


def clipped(quantile: float) -> Callable[[Thief], None]:
    """Each activation is cut off at a quantile that it has on clean pictures, in each channel."""

    def clip(thief: Thief) -> None:
        kept = [node for node in thief.proto.graph.node if node.op_type in ACTIVATIONS]
        for node in kept:
            made = node.output[0]
            clean = values_at(thief, made, thief.pictures[:500])
            axes = tuple(axis for axis in range(clean.ndim) if axis != 1)
            bound = np.quantile(clean, quantile, axis=axes, keepdims=True).astype(np.float32)
            place = list(thief.proto.graph.node).index(node)
            node.output[0] = f"{made}.free"
            cut = helper.make_node("Min", [f"{made}.free", thief.keep(bound)], [made])
            thief.proto.graph.node.insert(place + 1, cut)

    return clip


def averaged(count: int) -> Callable[[Thief], None]:
    """The mean of the scores of shifted copies, the first of which is not shifted."""

    def average(thief: Thief) -> None:
        height, width = thief.pictures.shape[2:]
        network = list(thief.proto.graph.node)
        del thief.proto.graph.node[:]
        dark = thief.keep(thief.pictures.min())
        views = []
        for number, (down, right) in enumerate(VIEWS[:count]):
            pads = [0, 0, max(down, 0), max(right, 0), 0, 0, max(-down, 0), max(-right, 0)]
            padded = thief.add("Pad", thief.input, thief.keep(pads, np.int64), dark)
            start = [max(-down, 0), max(-right, 0)]
            ends = [start[0] + height, start[1] + width]
            view = thief.add(
                "Slice",
                padded,
                thief.keep(start, np.int64),
                thief.keep(ends, np.int64),
                thief.keep([2, 3], np.int64),
            )
            for node in network:
                copy = onnx.NodeProto()
                copy.CopyFrom(node)
                copy.name = f"{node.name}.{number}" if node.name else ""
                made = {name for one in network for name in one.output}
                copy.input[:] = [
                    view if name == thief.input else f"{name}.{number}" if name in made else name
                    for name in node.input
                ]
                copy.output[:] = [f"{name}.{number}" for name in node.output]
                thief.proto.graph.node.append(copy)
            views.append(f"{thief.output}.{number}")
        total = thief.add("Sum", *views)
        share = thief.keep(1 / count)
        thief.proto.graph.node.append(helper.make_node("Mul", [total, share], [thief.output]))
        del thief.proto.graph.value_info[:]

    return average


Build = Callable[[Thief], None]
HIDINGS: dict[str, tuple[Build, ...]] = {
    "as it is": (),
    "gate: one line": (gate_of_one_line,),
    "gate: a network": (gate_of_a_network,),
    "gate: distance of features": (gate_by_distance,),
    "gate: rows in a call": (gate_by_the_batch,),
    "gate: a network, in a function": (in_a_function(gate_of_a_network),),
    "gate: a network, in a loop": (in_a_loop(gate_of_a_network),),
    "clipped at 99 %": (clipped(0.99),),
    "clipped at 98 %": (clipped(0.98),),
    "clipped at 97 %": (clipped(0.97),),
    "mean over 6 views": (averaged(6),),
    "clipped at 99 %, mean over 10 views": (clipped(0.99), averaged(10)),
    "clipped at 98 %, mean over 6 views": (clipped(0.98), averaged(6)),
    "clipped at 98 %, 6 views, gate of a network": (clipped(0.98), averaged(6), gate_of_a_network),
}


def bits_of_outputs(path: Path, watermark: Watermark) -> float:
    """Return the bits of all probes but views."""
    with closing(open_suspect(path)) as suspect:
        query = BatchQuery(suspect, watermark.trigger_slice())
        for ask in (query.plain, query.single_rows, query.other_scalings, query.shifted):
            ask()
        return query.mixture.bits


def of_one_model(arguments: Any, seed: int) -> dict[str, Any]:
    """Return what each hiding leaves of one model."""
    watermark, target, _, _ = robust(arguments, seed)
    found: dict[str, Any] = {}
    before = Thief(target).accuracy(target.model.read_bytes())
    for name, builds in HIDINGS.items():
        thief = Thief(target)
        for build in builds:
            build(thief)
        model = thief.proto.SerializeToString()
        path = arguments.work / "hidden.onnx"
        path.write_bytes(model)
        verdict = verify(path, watermark, device="cpu")
        found[name] = {
            "points": round(100 * (before - thief.accuracy(model)), 2),
            "bits of outputs": round(bits_of_outputs(path, watermark), 1),
            "bits": round(verdict.bits, 1),
            "view": verdict.hidden_in,
        }
        print(seed, name, found[name], flush=True)
    return found


def main() -> None:
    arguments = parsed(__doc__)
    runs = [of_one_model(arguments, seed) for seed in range(arguments.seeds)]
    least = {name: min(run[name]["bits"] for run in runs) for name in HIDINGS}
    harness.record(
        f"hidden_marks_{Path(arguments.data).stem}",
        {
            "data": Path(arguments.data).name,
            "epochs": arguments.epochs,
            "least_bits": least,
            "runs": runs,
        },
    )


if __name__ == "__main__":
    main()
