"""How others repeat a check: the very commands, with file names that a shell takes as they are."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from wmx._internal.text import printable

Digests = Mapping[str, str]  # SHA-256 of the suspect's files, by name


@dataclass(frozen=True)
class Step:
    """A sentence, and the command that goes with it."""

    words: str
    command: str


@dataclass(frozen=True)
class Files:
    """What a command was given; only names are shown, since folders are nobody's business.

    Attributes:
        claim, evidence, roots: the files; ``None`` for those that were not given.
        min_bits: asked for instead of the default.
        naming: the words that named the suspect and said how it is fed, where its file's name alone
            does not.
        weights: files beside the suspect that hold its weights under names of their own.
    """

    claim: Path | None = None
    evidence: Path | None = None
    roots: Path | None = None
    min_bits: float | None = None
    naming: Sequence[str] = ()
    weights: Sequence[Path] = ()

    def options(self) -> list[str]:
        """Return the options that decide about the answer."""
        found = [word for file in self.weights for word in ("--weights", _name(file))]
        if self.min_bits is not None:
            found += ["--min-bits", f"{self.min_bits:g}"]
        if self.roots is not None:
            found += ["--roots", _name(self.roots)]
        return found


def owner_steps(suspect: str, digests: Digests, files: Files, *, proved: bool) -> Sequence[Step]:
    """Return how a verdict is repeated: by everybody if there is an evidence, else by the owner."""
    if proved:
        return third_party_steps(suspect, digests, files)
    claim = ["--claim", _name(files.claim)] if files.claim else []
    again = ["wmx", "verify", *(files.naming or [_file(suspect)]), *claim]
    repeating = Step(
        "The owner repeats the verdict with the owner key in his store, or named by --key:",
        _command([*again, *files.options()]),
    )
    if not digests:
        return [repeating]  # what is no file may answer otherwise tomorrow
    return [
        *_same_files(digests),
        repeating,
        Step(
            "To let others repeat it without the key, the owner writes an evidence, which "
            "discloses as few triggers as suffice:",
            _command([*again, *files.options(), "--evidence", "evidence.json"]),
        ),
    ]


def third_party_steps(suspect: str, digests: Digests, files: Files) -> Sequence[Step]:
    """Return how anybody repeats the check of an evidence."""
    evidence = _name(files.evidence) if files.evidence else "evidence.json"
    claim = _name(files.claim) if files.claim else "claim.json"
    words = ["wmx", "check", evidence, "--model", _file(suspect), "--claim", claim]
    return [
        *_same_files(digests),
        Step(
            "Anybody repeats the verdict from the evidence, the file and the claim as it was "
            "published; exit code 0 and VERIFIED are a yes:",
            _command([*words, *files.options()]),
        ),
    ]


def _same_files(digests: Digests) -> list[Step]:
    return [
        Step(
            f"See that the file is the one that this page is about; its digest has to be {sha256}:",
            _command(["sha256sum", _file(name)]),
        )
        for name, sha256 in digests.items()
    ]


def _name(path: Path) -> str:
    return _file(path.name)


def _file(name: str) -> str:
    """Return a file's name so that no program takes it for an option."""
    return f"./{name}" if name.startswith("-") else name


def _command(words: Sequence[str]) -> str:
    return shlex.join(printable(word, None) for word in words)
