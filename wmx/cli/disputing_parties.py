"""The parties of a dispute and their release records, from the options of ``wmx dispute``."""

from collections.abc import Container, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from wmx.cli.common import key_file, load_owner, store, trusted_roots
from wmx.errors import CannotRunError, IntegrityError, LimitError, UsageError

if TYPE_CHECKING:
    from wmx.disputes.originals import Opener
    from wmx.disputes.party import Party, Shown
    from wmx.protocol.claim import Claim
    from wmx.protocol.keys import OwnerKey
    from wmx.protocol.stamped import Stamped
    from wmx.protocol.timestamp import Roots
    from wmx.suspect.suspect import Suspect
    from wmx.verification.evidence import Evidence
    from wmx.watermark import Watermark


def disputing_parties(
    claim_paths: Sequence[Path],
    key_paths: Sequence[Path],
    evidence_paths: Sequence[Path],
    release_paths: Sequence[Path],
    original_paths: Sequence[Path],
    triggers: Iterable[str],
    roots_path: Path | None,
    *,
    suspect: "Suspect",
    open_model: "Opener",
) -> "tuple[list[Party], list[Shown]]":
    """Return the parties, each named after the file of its claim or evidence, and the records.

    A claim is tested with the key that signed it.  Without that key, an evidence has to hold the
    same claim; the claim's file then only adds its timestamps.

    Args:
        claim_paths: files of claims.
        key_paths: files of owner keys, in any order.
        evidence_paths: files of evidence.
        release_paths: files of release records, each of which says its claim and its model.
        original_paths: ONNX files that the records name.
        triggers: ``CLAIM=FILE`` with the secret images of a claim.
        roots_path: PEM file of trusted root certificates; the store's if ``None``.
        suspect: what the parties dispute about.
        open_model: opens an original where records can only be told apart by its weights.

    Raises:
        UsageError: a claim has neither key nor evidence, or was given twice; ``triggers`` name no
            claim; or a model has no record.
        IntegrityError: a file is broken, an evidence is about another model, or a model has other
            weights beside it than its records say.
        CannotRunError: a file cannot be read.
    """
    from wmx.disputes.originals import find_originals
    from wmx.disputes.party import Party, Shown
    from wmx.protocol.claim import Claim
    from wmx.protocol.release_record import Release

    _require_few(claim_paths, evidence_paths, release_paths)
    claims = {str(path): store().dated(Claim.load(path)) for path in claim_paths}
    evidences = {str(path): _loaded(path) for path in evidence_paths}
    releases = [store().dated(Release.load(path)) for path in release_paths]
    models = find_originals(original_paths, releases, open_model)
    names = [*claims, *evidences]
    pictures = _by_party(triggers, names, "--triggers")
    owners = _owners(claims.values(), key_paths)
    every: list[Stamped] = [
        *claims.values(),
        *(one.claim for one in evidences.values()),
        *releases,
        *(one.claim for one in releases),
    ]
    roots = trusted_roots(roots_path, every)
    published = _published(claims, evidences, owners)
    for name in published.keys() & pictures.keys():
        raise UsageError(
            f"--triggers names the claim {name}, whose key was not given: an evidence file "
            "holds its triggers",
            hint="leave --triggers out for this claim, or give its key with --key",
        )
    parties = [
        _with_key(name, claim, *owners[claim.owner], pictures.get(name), roots)
        for name, claim in claims.items()
        if name not in published
    ]
    for name, one in evidences.items():
        same = (claim for claim in published.values() if claim.envelope == one.claim.envelope)
        parties.append(
            Party.from_evidence(name, one, roots, published=next(same, None), suspect=suspect)
        )
    return parties, [Shown.of(one, roots, models.get(one.digest)) for one in releases]


def _require_few(*given: Sequence[Path]) -> None:
    """Refuse more files than a dispute takes before any of them is read."""
    from wmx.disputes.settling import MAX_PARTIES, MAX_RECORDS

    options = ("--claim", "--evidence", "--release")
    most = (MAX_PARTIES, MAX_PARTIES, MAX_RECORDS)
    for option, paths, limit in zip(options, given, most, strict=True):
        if len(paths) > limit:
            raise UsageError(
                f"{option} was given {len(paths)} times, expected at most {limit}",
                hint="leave out the claims that do not verify by themselves: wmx verify, wmx check",
            )


def _loaded(path: Path) -> "Evidence":
    from wmx.verification.evidence import Evidence

    with _named_if_too_costly(str(path), "evidence"):
        return Evidence.load(path)


@contextmanager
def _named_if_too_costly(name: str, what: str) -> Iterator[None]:
    """Say which file it is, where one costs too much to read or to open."""
    try:
        yield
    except LimitError as error:
        raise LimitError(
            f"{name}: {error}", hint=f"leave this {what} out, or: {error.hint}"
        ) from None


def _owners(
    claims: "Iterable[Claim]", paths: Sequence[Path]
) -> "dict[bytes, tuple[OwnerKey, Path]]":
    """Return the keys and their files by public key; the store's only if it may be needed."""
    keys = [(load_owner(path), path) for path in paths]
    found = {key.public: (key, path) for key, path in keys}
    missing = {claim.owner for claim in claims} - found.keys()
    if missing and store().key_path.exists():
        own = load_owner(None)
        found[own.public] = own, key_file(None)
    return found


def _with_key(
    name: str,
    claim: "Claim",
    owner: "OwnerKey",
    key: Path,
    pictures: Path | None,
    roots: "Roots",
) -> "Party":
    """Return a party with the triggers that are still secret by the ledger beside its key.

    A ledger that is damaged or cannot be read is a failure of this party, not of the dispute.
    """
    from wmx.disputes.party import Party
    from wmx.verification.ledger import Ledger

    with _named_if_too_costly(name, "claim"):
        watermark = _watermark(claim, owner, pictures)
    try:
        start = Ledger(key, claim).next_start()
    except (CannotRunError, IntegrityError, LimitError) as error:
        reason = f"{error} ({error.hint})" if error.hint else str(error)
        return Party.untested(name, watermark, roots, reason)
    return Party.from_watermark(name, watermark, roots, start=start)


def _published(
    claims: "dict[str, Claim]",
    evidences: "dict[str, Evidence]",
    owners: "Container[bytes]",
) -> "dict[str, Claim]":
    """Return the claims without a key, each of which is also in an evidence."""
    disclosed = [one.claim.envelope for one in evidences.values()]
    found = {}
    for name, claim in claims.items():
        if claim.owner in owners:
            if claim.envelope in disclosed:
                raise UsageError(
                    f"the claim {name} was given twice: with its key, and in an evidence file",
                    hint="leave out the evidence file: the key shows more",
                )
        elif claim.envelope in disclosed:
            found[name] = claim
        else:
            raise UsageError(
                f"the claim {name} has no triggers to test: expected the key that made it, or an "
                "evidence file about it",
                hint="give the key with --key, or its owner's evidence with --evidence",
            )
    return found


def _by_party(options: Iterable[str], names: Sequence[str], option: str) -> dict[str, Path]:
    """Return the files of options ``NAME=FILE``; names may hold equals signs."""
    found: dict[str, Path] = {}
    for text in options:
        fitting = [name for name in names if text.startswith(f"{name}=")]
        if not fitting:
            raise UsageError(
                f"{option} {text} does not begin with the name of a claim or an evidence file",
                hint=f"write {option} {names[0] if names else 'CLAIM'}=FILE",
            )
        name = max(fitting, key=len)
        if name in found:
            raise UsageError(f"{option} was given twice for {name}")
        found[name] = Path(text[len(name) + 1 :])
    return found


def _watermark(claim: "Claim", owner: "OwnerKey", pictures: Path | None) -> "Watermark":
    from wmx.triggers.trigger_file import load_images
    from wmx.watermark import Watermark

    if pictures is None:
        return store().open(claim, owner)
    return Watermark.open(claim, owner, images=load_images(pictures))
