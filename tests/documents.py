"""Reading the documentation as its tests do: blocks, commands, headings and links.

Blocks are told apart by their language.  ``console`` is run line by line, ``python`` is a whole
program, ``yaml`` and ``bash`` have tests of their own.  ``sh`` holds what a test cannot do, such
as installing, and ``py`` a part of a program that needs the network or more devices.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
README = ROOT / "README.md"
PROGRAMS = {  # the page, and of each of its programs the suite that runs it
    "how-to/fine-tuned.md": ("torch",),
    "how-to/hugging-face.md": ("torch",),
    "how-to/jax.md": ("jax",),
    "how-to/keras.md": ("keras",),
    "how-to/pytorch.md": ("torch", "torch"),
    "how-to/scan.md": ("torch",),
    "how-to/scikit-learn.md": ("sklearn",),
    "how-to/tables.md": ("torch", "keras", "jax"),
}
WALKS = (  # pages whose commands tests/torch runs in order, with the tutorial's run beside them
    "how-to/before-you-ship.md",
    "how-to/ci.md",
    "how-to/fine-tuned.md",
    "how-to/keys.md",
    "how-to/marketplace.md",
    "how-to/several-devices.md",
)
PLAYED = ("how-to/api.md", "how-to/judge.md")  # tests/cli plays the other side
GUIDES = sorted([DOCS / "tutorial.md", *DOCS.glob("how-to/*.md")])
LANGUAGES = {"sh", "console", "diff", "python", "py", "yaml", "bash"}


def page(name: str) -> str:
    """Return the text of a page under ``docs/``."""
    return (DOCS / name).read_text()


def pages() -> list[Path]:
    """Return the README and all pages of the site."""
    return [README, *sorted(DOCS.rglob("*.md"))]


def blocks(text: str, language: str) -> list[str]:
    """Return the fenced blocks of one language, without the indentation of a list."""
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```$", text, flags=re.MULTILINE | re.DOTALL)
    return [re.sub(rf"^{indent}", "", body, flags=re.MULTILINE) for indent, body in found]


def commands(text: str) -> list[str]:
    """Return the command lines of the ``console`` blocks, each on one line."""
    lines = re.sub(r" *\\\n *", " ", "".join(blocks(text, "console"))).splitlines()
    return [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]


def programs(text: str) -> list[tuple[str, str]]:
    """Return the ``python`` blocks, each with the command after it that verifies its model.

    The command is empty where a program marks none.
    """
    found = []
    for body, after in re.findall(
        r"^```python\n(.*?)^```$([^`]*(?:^```console\n[^`]*)?)",
        text,
        flags=re.MULTILINE | re.DOTALL,
    ):
        proof = [line for line in commands(f"{after}```\n") if " --key owner.pem" in line]
        found.append((body, proof[0] if proof else ""))
    return found


def programs_of(suite: str) -> dict[str, tuple[str, str]]:
    """Return the programs that a suite runs, as ``programs`` does, by page and place."""
    return {
        f"{name}-{number}": found
        for name, suites in PROGRAMS.items()
        for number, found in enumerate(programs(page(name)))
        if suites[number] == suite
    }


def walk(text: str) -> list[str]:
    """Return the commands of a page but those that belong to its programs."""
    proofs = [proof for _, proof in programs(text)]
    return [line for line in commands(text) if line not in proofs]


def without_blocks(text: str) -> str:
    """Return a page without its fenced blocks and comments."""
    text = re.sub(r"^ *```.*?^ *```$", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)


def links(text: str) -> list[str]:
    """Return where the links and pictures of a page lead."""
    return re.findall(r"\]\(([^)\s]+)\)", without_blocks(text))


def anchors(text: str) -> set[str]:
    """Return the anchors of a page's headings, as GitHub and the site make them."""
    found: dict[str, int] = {}
    for heading in re.findall(r"^#+ +(.*?) *#*$", without_blocks(text), flags=re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        slug = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        found[slug] = found.get(slug, 0) + 1
    return set(found)


def json_fields(*headings: str) -> set[str]:
    """Return the fields that sections of the page about ``--json`` describe, as patterns."""
    sections = re.split(r"^#+ +", page("reference/json.md"), flags=re.MULTILINE)
    found = set()
    for heading in headings:
        (section,) = [text for text in sections if text.partition("\n")[0] == heading]
        for cell in re.findall(r"^\| (`[^|]*`) \|", section, flags=re.MULTILINE):
            found |= set(re.findall(r"`([^`]+)`", cell))
    return found


def json_paths(value: Any, path: str = "") -> set[str]:
    """Return the path of every leaf of an answer, ``a.b`` in objects, ``a[].b`` in their lists."""
    if isinstance(value, dict) and value:
        parts = [
            json_paths(item, f"{path}.{name}" if path else name) for name, item in value.items()
        ]
        return set().union(*parts)
    if isinstance(value, list) and any(isinstance(item, dict) for item in value):
        return set().union(*(json_paths(item, f"{path}[]") for item in value))
    return {path}


def json_matches(path: str, pattern: str) -> bool:
    """Say whether a described field is that of a path, or the path is empty above it.

    ``*`` in a pattern stands for a name that depends on the case.
    """
    if re.fullmatch(re.escape(pattern).replace(r"\*", r".+"), path):
        return True
    return bool(re.match(re.escape(path) + r"[.\[]", pattern))


def environment(home: Path) -> dict[str, str]:
    """Return the environment for commands: this Python's ``wmx``, and a store of its own."""
    return {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "WMX_HOME": str(home / "store"),
        "OMP_NUM_THREADS": "1",
    }


def run_commands(lines: Iterable[str], folder: Path) -> None:
    """Run command lines in a folder, whose store is ``folder/store``; each has to succeed."""
    for line in lines:
        done = subprocess.run(
            line,
            check=False,
            shell=True,
            cwd=folder,
            env=environment(folder),
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{line}: {done.stdout}{done.stderr}"
        if line.startswith("wmx "):
            assert done.stdout.startswith("{") == ("--json" in line), line


def run_program(program: str, folder: Path) -> str:
    """Run a program of a page as it stands, and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning:wmx", "-c", program],
        check=False,
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def check_marks(program: str, proof: str, folder: Path, *, runs: int) -> None:
    """Run a program that marks a model, as its page does; from the second time on under its claim.

    Each time the verdict that it prints in the end is looked at.  Then its model is verified from
    the command line, with the key and the claim that the first run has written.

    Args:
        program: of the page.
        proof: the command that follows it.
        folder: to run in.
        runs: how often it is run.
    """
    claims = set()
    for _ in range(runs):
        verified, hits, bits = run_program(program, folder).splitlines()[-1].split()
        assert verified == "True"
        assert int(hits) >= 95
        assert float(bits) > 250
        claims |= {path.read_bytes() for path in folder.glob("*-claim.json")}
    assert len(claims) == 1
    assert proof.startswith("wmx verify ")
    run_commands([proof], folder)
