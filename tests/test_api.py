"""Public functions document every argument, and texts are spelled as in American English."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted(
    path
    for folder in ("wmx", "adapters")
    for path in (ROOT / folder).rglob("*.py")
    if "__pycache__" not in path.parts
)
Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef

# "as :func:`verify`", "Arguments as of :meth:`Suspect.predictions`"
REFERENCE = re.compile(r"\bas (of |for |in )?:(func|meth|class):`", re.IGNORECASE)
BRITISH = re.compile(
    r"(?<![a-z])(?:\w*colour\w*|\w*behaviour\w*|\w*(?:normal|standard|quant|optim|recogn|serial"
    r"|initial|organ|general|summar|random|minim|maxim|util|regular|penal)is(?:e[drs]?|ing|ation)"
    r"(?:s|d)?|labell\w+|modell\w+|travell\w+|cancell(?:ed|ing)|analys(?:e[drs]?|ing)|grey\w*"
    r"|centre[ds]?|neighbours?|favour\w*|honour\w*|licence[sd]?|artefacts?|defence|judgement"
    r"|catalogues|whilst|learnt|spelt|spoilt)(?![a-z])",
    re.IGNORECASE,
)
# an expert, as reports and --json name it, and an attribute of HTML
SPELLED_SO = {"neighbours", "labelledby"}


def functions(tree: ast.AST, owner: ast.ClassDef | None = None) -> Iterator[tuple[str, Function]]:
    """Yield the public functions of a module and the public methods of its public classes."""
    for node in getattr(tree, "body", []):
        name = getattr(node, "name", "_")
        if name.startswith("_"):
            continue
        if isinstance(node, ast.ClassDef):
            yield from functions(node, node)
        elif isinstance(node, Function):
            yield f"{owner.name}.{name}" if owner else name, node


def parameters(function: Function) -> list[str]:
    given = function.args
    every = [*given.posonlyargs, *given.args, given.vararg, *given.kwonlyargs, given.kwarg]
    names = [one.arg for one in every if one is not None]
    return [name for name in names if name not in ("self", "cls")]


def is_command(path: Path, function: Function) -> bool:
    """Say whether a function is a command, whose options carry their help."""
    arguments = ast.unparse(function.args)
    return path.parent.name == "cli" and ("typer." in arguments or "Option" in arguments)


def undocumented(function: Function) -> list[str]:
    """Return the parameters that the docstring does not explain."""
    names, said = parameters(function), ast.get_docstring(function) or ""
    if len(names) < 2 or REFERENCE.search(" ".join(said.split())):
        return []
    _, _, rest = said.partition("Args:\n")
    section = re.split(r"\n\S", rest)[0]
    entries = re.findall(r"^    ([*\w, ]+):", section, re.MULTILINE)
    known = {name.strip(" *") for entry in entries for name in entry.split(",")}
    return [name for name in names if name not in known]


def inherited(trees: list[ast.AST]) -> dict[str, list[ast.ClassDef]]:
    """Return all classes by name."""
    found: dict[str, list[ast.ClassDef]] = {}
    for tree in trees:
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                found.setdefault(node.name, []).append(node)
    return found


def is_documented_above(name: str, classes: dict[str, list[ast.ClassDef]]) -> bool:
    """Say whether a class that this one extends documents the same method."""
    owner, _, method = name.rpartition(".")
    bases = [
        ast.unparse(base).rpartition(".")[2] for one in classes.get(owner, []) for base in one.bases
    ]
    for base in bases:
        for one in classes.get(base, []):
            for node in one.body:
                if isinstance(node, Function) and node.name == method and not undocumented(node):
                    return True
        if is_documented_above(f"{base}.{method}", classes):
            return True
    return False


TREES: dict[Path, ast.AST] = {path: ast.parse(path.read_text("utf-8")) for path in MODULES}
CLASSES = inherited(list(TREES.values()))


def test_public_functions_document_every_argument() -> None:
    lacking = [
        f"{path.relative_to(ROOT)}:{function.lineno} {name}: {', '.join(missing)}"
        for path, tree in TREES.items()
        for name, function in functions(tree)
        if not is_command(path, function)
        if (missing := undocumented(function)) and not is_documented_above(name, CLASSES)
    ]
    assert not lacking, "\n".join(lacking)


@pytest.mark.parametrize(
    ("said", "missing"),
    [
        ("Do it.", ["a", "b"]),
        ("Do it.\n\n    Args:\n        a: one.", ["b"]),
        ("Do it.\n\n    Args:\n        a: one.\n\n    Returns:\n        b: no argument.", ["b"]),
        ("Do it.\n\n    Args:\n        a, b: both.", []),
        ("Do it; as :func:`other`.", []),
        ("Do it, as ever.", ["a", "b"]),
    ],
)
def test_a_missing_argument_is_found(said: str, missing: list[str]) -> None:
    (node,) = ast.parse(f'def f(self, a, *b):\n    """{said}\n    """').body
    assert isinstance(node, ast.FunctionDef)
    assert undocumented(node) == missing


def british(text: str) -> set[str]:
    return {word.lower() for word in BRITISH.findall(text)} - SPELLED_SO


def test_no_text_is_spelled_in_british_english() -> None:
    """Names, comments, docstrings, help texts and pages of the package."""
    pages = [*(ROOT / "wmx").rglob("*.jinja"), *MODULES]
    found = {
        str(path.relative_to(ROOT)): words
        for path in pages
        if (words := british(path.read_text("utf-8")))
    }
    assert not found


@pytest.mark.parametrize(
    "word",
    [
        "colour",
        "COLOUR_OF",
        "normalisation",
        "unnormalised",
        "standardiser",
        "quantised",
        "labelled",
        "behaviour",
        "optimise",
        "grey",
        "centre",
        "recognises",
        "spoilt",
    ],
)
def test_british_words_are_found(word: str) -> None:
    assert british(f"the {word}, here")


@pytest.mark.parametrize(
    "word", ["exercise", "raised", "precise", "promise", "likelihood", "labels", "color"]
)
def test_american_words_are_not(word: str) -> None:
    assert not british(f"the {word}, here")
