"""The commands in a report with which others repeat a check, quoted for the shell."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from wmx._internal.text import printable
from wmx.protocol.model_reference import ModelReference


@dataclass(frozen=True)
class Step:
    """A sentence and the shell command that goes with it."""

    words: str
    command: str


@dataclass(frozen=True)
class Files:
    """The files and options of a command; only file names are shown, since folders are private.

    Attributes:
        claim, evidence, roots: the files; ``None`` for those that were not given.
        min_bits: required instead of the default.
        naming: the arguments that name the suspect and its overrides, where its file's name alone
            does not suffice.
        weights: files beside the suspect that hold its weights under names of their own.
    """

    claim: Path | None = None
    evidence: Path | None = None
    roots: Path | None = None
    min_bits: float | None = None
    naming: Sequence[str] = ()
    weights: Sequence[Path] = ()

    def options(self) -> list[str]:
        """Return the options that the result depends on."""
        found = [word for file in self.weights for word in ("--weights", _name(file))]
        if self.min_bits is not None:
            found += ["--min-bits", f"{self.min_bits:g}"]
        if self.roots is not None:
            found += ["--roots", _name(self.roots)]
        return found


def owner_steps(suspect: ModelReference, files: Files, *, proved: bool) -> Sequence[Step]:
    """Return how a verdict is repeated: by anybody if there is evidence, else by the owner.

    Args:
        suspect: named without a folder.
        files: what the command was given.
        proved: whether evidence was made.
    """
    if proved:
        return third_party_steps(suspect, files)
    claim = ["--claim", _name(files.claim)] if files.claim else []
    again = ["wmx", "verify", *(files.naming or [_file(suspect.name)]), *claim]
    repeating = Step(
        "The owner repeats the verdict with the owner key in the key store, or named by --key:",
        _command([*again, *files.options()]),
    )
    if suspect.sha256 is None:
        return [repeating]  # what is no file may predict otherwise tomorrow
    return [
        *_same_files(suspect),
        repeating,
        Step(
            "To let others repeat it without the key, the owner writes evidence, which "
            "discloses as few triggers as suffice:",
            _command([*again, *files.options(), "--evidence", "evidence.json"]),
        ),
    ]


def third_party_steps(suspect: ModelReference, files: Files) -> Sequence[Step]:
    """Return how anybody repeats the check of evidence; arguments as of :func:`owner_steps`."""
    evidence = _name(files.evidence) if files.evidence else "evidence.json"
    claim = _name(files.claim) if files.claim else "claim.json"
    words = ["wmx", "check", evidence, "--model", _file(suspect.name), "--claim", claim]
    return [
        *_same_files(suspect),
        Step(
            "Anybody repeats the verdict from the evidence, the file and the claim as it was "
            "published; exit code 0 and VERIFIED mean yes:",
            _command([*words, *files.options()]),
        ),
    ]


def _same_files(suspect: ModelReference) -> list[Step]:
    digests = ((suspect.name, suspect.sha256), *suspect.external.items())
    return [
        Step(
            f"Check that the file is the one of this page; its SHA-256 must be {sha256}:",
            _command(["sha256sum", _file(name)]),
        )
        for name, sha256 in digests
    ]


def _name(path: Path) -> str:
    return _file(path.name)


def _file(name: str) -> str:
    """Return a file's name so that no program takes it for an option."""
    return f"./{name}" if name.startswith("-") else name


def _command(words: Sequence[str]) -> str:
    return shlex.join(printable(word, None) for word in words)
