"""Nothing is ever unpickled: no call in the package could do it."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted([*(ROOT / "wmx").rglob("*.py"), *(ROOT / "adapters").rglob("*.py")])
PICKLES = {"pickle", "_pickle", "cPickle", "joblib", "dill", "cloudpickle", "shelve", "marshal"}
LOADERS = {"torch.load", "load_model", "read_pickle", "torch.jit.load", "torch.hub.load"}


def unpickling(source: str) -> list[str]:
    """Return what in a source may unpickle: imports of such modules, and calls of such loaders.

    NumPy's ``load`` is one unless it is told ``allow_pickle=False`` at the call.
    """
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [name.name for name in node.names]
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else names
            found += [name for name in names if name.partition(".")[0] in PICKLES]
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            safe = any(
                word.arg == "allow_pickle" and ast.unparse(word.value) == "False"
                for word in node.keywords
            )
            unsafe = called in ("np.load", "numpy.load") and not safe
            if unsafe or {called, called.rpartition(".")[2]} & LOADERS:
                found.append(called)
    return found


def test_no_source_of_the_package_unpickles() -> None:
    assert len(SOURCES) > 150
    found = {str(path): unpickling(path.read_text()) for path in SOURCES}
    assert {name: calls for name, calls in found.items() if calls} == {}


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from joblib import load",
        "import torch\ntorch.load(path, weights_only=True)",
        "import numpy as np\nnp.load(path)",
        "import numpy as np\nnp.load(path, allow_pickle=True)",
        "import keras\nkeras.models.load_model(path)",
    ],
)
def test_what_unpickles_would_be_seen(source: str) -> None:
    assert len(unpickling(source)) == 1


def test_what_does_not_is_let_through() -> None:
    assert unpickling("import numpy as np\nnp.load(path, allow_pickle=False)") == []
