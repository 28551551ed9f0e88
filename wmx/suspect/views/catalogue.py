"""The views of a file: which there are, what each is called, and its model.

They follow from the graph alone, in a fixed order: whoever looks into the same file finds the same.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, zip_longest
from typing import TypeAlias

import onnx

from wmx._internal.text import printable
from wmx.suspect.views import bypasses
from wmx.suspect.views.bypasses import Bypass, Nodes
from wmx.suspect.views.flattening import (
    Branch,
    has_branches,
    with_branches_taken,
    without_functions,
)
from wmx.suspect.views.graph import Graph, changed, prune
from wmx.suspect.views.inner import fed_at, inner_outputs, preprocessed, read_at

MAX_VIEWS = 64
MOST_READ = 8  # outputs of a view; a suspect's reader reads no more
MOST_DECLARED = 4  # of these are the file's own, where nodes are bypassed
MOST_SINGLE = 24  # nodes that are bypassed one by one
MOST_FED = 8  # inner tensors that are fed
MAX_WORDS = 60  # characters of a name in the file

KINDS: dict[str, Callable[[Graph], Iterator[Bypass]]] = {
    "conditions met": bypasses.conditions(met=True),
    "no condition met": bypasses.conditions(met=False),
    "first choices": bypasses.choices(second=False),
    "second choices": bypasses.choices(second=True),
    "without clipping": bypasses.clipping,
    "without rounding": bypasses.rounding,
    "without noise": bypasses.noise,
    "first of averaged views": bypasses.averages(last=False),
    "last of averaged views": bypasses.averages(last=True),
    "without factors": bypasses.factors,
    "first of mixed parts": bypasses.mixtures(second=False),
    "second of mixed parts": bypasses.mixtures(second=True),
}
TOGETHER = {  # kinds that a thief combines, whichever way the conditions go
    "all bypassed, conditions met": ("conditions met",),
    "all bypassed, no condition met": ("no condition met",),
}
ALWAYS = ("without clipping", "without rounding", "without noise", "first of averaged views")
BRANCHES: dict[str, Branch] = {"first branches": "then_branch", "second branches": "else_branch"}


@dataclass(frozen=True)
class View:
    """One way of looking into a file.

    Attributes:
        name: in verdicts and evidence; no two views of a file have the same.
        model: makes the model to run.
    """

    name: str
    model: Callable[[], onnx.ModelProto]


def views_of(model: onnx.ModelProto) -> list[View]:
    """Return the views of a model, at most :data:`MAX_VIEWS`, the likeliest first.

    Args:
        model: of which the file's declared outputs are read already.
    """
    written = without_functions(model)
    _forget_shapes(written)
    prune(written)
    graph = Graph(written)
    return _named(islice(_views(graph), MAX_VIEWS))


def _forget_shapes(model: onnx.ModelProto) -> None:
    """Remove what the file says of the shapes of its tensors, in place: it need not be true."""
    del model.graph.value_info[:]
    for port in model.graph.output:
        if port.type.HasField("tensor_type"):
            port.type.tensor_type.ClearField("shape")


def _views(graph: Graph) -> Iterator[View]:
    found = {words: dict(kind(graph)) for words, kind in KINDS.items()}
    yield from _read_inside(graph)
    yield from _without(graph, found, "")
    if has_branches(graph.model):
        for words, branch in BRANCHES.items():
            taken = Graph(with_branches_taken(graph, branch))
            yield View(words, _reading(taken, {}))
            inside = {words: dict(kind(taken)) for words, kind in KINDS.items()}
            yield from islice(_without(taken, inside, f"{words}, "), len(TOGETHER))
    for origin, name in islice(preprocessed(graph), MOST_FED):
        yield View(f"fed at {_shown(name)}", _feeding(graph, origin, name))
    yield from _one_by_one(graph, found)


def _read_inside(graph: Graph) -> Iterator[View]:
    inner = inner_outputs(graph, 2 * MOST_READ)
    for words, names in (
        ("inner outputs", inner[:MOST_READ]),
        ("more inner outputs", inner[MOST_READ:]),
    ):
        if names:
            yield View(words, _reading_only(graph, names))


Found: TypeAlias = "dict[str, dict[int, Nodes]]"  # what stands for the nodes of each kind


def _without(graph: Graph, found: Found, before: str) -> Iterator[View]:
    """Yield the views without all nodes of several kinds, then of each kind."""
    for words, conditions in TOGETHER.items():
        kinds = [found[kind] for kind in (*conditions, *ALWAYS) if found[kind]]
        if len(kinds) > 1:
            yield View(before + words, _reading(graph, _merged(kinds)))
    for words, replaced in found.items():
        if replaced:
            yield View(before + words, _reading(graph, replaced))


def _merged(kinds: Sequence[dict[int, Nodes]]) -> dict[int, Nodes]:
    merged: dict[int, Nodes] = {}
    for kind in kinds:
        merged = kind | merged
    return merged


def _one_by_one(graph: Graph, found: Found) -> Iterator[View]:
    """Yield the views without one node, of each kind in turn, the last in the graph first."""
    columns = [
        [(words, place, nodes[place]) for place in sorted(nodes, reverse=True)]
        for words, nodes in found.items()
        if len(nodes) > 1
    ]
    rows = zip_longest(*columns)
    singles = (one for row in rows for one in row if one is not None)
    for words, place, nodes in islice(singles, MOST_SINGLE):
        where = _shown(graph.nodes[place].name or graph.nodes[place].output[0])
        yield View(f"{words} at {where}", _reading(graph, {place: nodes}))


def _reading(graph: Graph, replaced: dict[int, Nodes]) -> Callable[[], onnx.ModelProto]:
    """Return what makes a model that is read at its own outputs and at inner tensors."""

    def make() -> onnx.ModelProto:
        model = changed(graph.model, replaced)
        own = min(MOST_DECLARED, len(model.graph.output))
        read_at(model, inner_outputs(Graph(model), MOST_READ - own), own)
        prune(model)
        return model

    return make


def _reading_only(graph: Graph, names: list[str]) -> Callable[[], onnx.ModelProto]:
    def make() -> onnx.ModelProto:
        model = changed(graph.model, {})
        read_at(model, names, 0)
        prune(model)
        return model

    return make


def _feeding(graph: Graph, origin: str, name: str) -> Callable[[], onnx.ModelProto]:
    def make() -> onnx.ModelProto:
        model = fed_at(graph, origin, name)
        own = min(MOST_DECLARED, len(model.graph.output))
        read_at(model, inner_outputs(Graph(model), MOST_READ - own), own)
        prune(model)
        return model

    return make


def _named(views: Iterator[View]) -> list[View]:
    found: dict[str, View] = {}
    for view in views:
        name = view.name
        while name in found:
            name += "'"
        found[name] = View(name, view.model)
    return list(found.values())


def _shown(name: str) -> str:
    return printable(name, MAX_WORDS)
