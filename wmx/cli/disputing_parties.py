"""The parties of a dispute and their release records, from the options of ``wmx dispute``."""

from collections.abc import Container, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from wmx.cli.common import key_file, load_owner, store, trusted_roots
from wmx.errors import UsageError

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
    """Return the parties, each called as its claim or evidence was named, and the records.

    A claim is asked with the key that signed it.  Where there is none, the same claim has to be in
    an evidence; the published claim then only adds its timestamps.  A record says itself of which
    claim and which model it is; ``open_model`` opens one where that takes a look at its weights.

    Raises:
        UsageError: a claim has neither key nor evidence, is there twice, an option names none, or a
            model has no record.
        IntegrityError: a file is broken, an evidence is about another model, or a model has other
            weights beside it than its records say.
    """
    from wmx.disputes.originals import find_originals
    from wmx.disputes.party import Party, Shown
    from wmx.protocol.claim import Claim
    from wmx.protocol.release_record import Release
    from wmx.verification.evidence import Evidence

    claims = {str(path): Claim.load(path) for path in claim_paths}
    evidences = {str(path): Evidence.load(path) for path in evidence_paths}
    releases = [Release.load(path) for path in release_paths]
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
            f"{name} is the published claim of an evidence",
            hint="name the evidence in its place, as its party is called",
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


def _owners(
    claims: "Iterable[Claim]", paths: Sequence[Path]
) -> "dict[bytes, tuple[OwnerKey, Path]]":
    """Return the keys and their files by the public part; the store's only if it made a claim."""
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
    """Return a party by the triggers that the ledger beside its key knows to be secret."""
    from wmx.disputes.party import Party
    from wmx.verification.ledger import Ledger

    start = Ledger(key, claim).next_start()
    return Party.from_watermark(name, _watermark(claim, owner, pictures), roots, start=start)


def _published(
    claims: "dict[str, Claim]",
    evidences: "dict[str, Evidence]",
    owners: "Container[bytes]",
) -> "dict[str, Claim]":
    """Return the claims that only go with an evidence."""
    disclosed = [one.claim.envelope for one in evidences.values()]
    found = {}
    for name, claim in claims.items():
        if claim.owner in owners:
            if claim.envelope in disclosed:
                raise UsageError(
                    f"the claim {name} is there twice: with its key, and in an evidence",
                    hint="leave the evidence out: the key says more",
                )
        elif claim.envelope in disclosed:
            found[name] = claim
        else:
            raise UsageError(
                f"nothing is there to ask for the claim {name}: no key that made it, no evidence",
                hint="name its key with --key, or evidence of its owner with --evidence",
            )
    return found


def _by_party(options: Iterable[str], names: Sequence[str], option: str) -> dict[str, Path]:
    """Return the files of options ``NAME=FILE``; names may hold equals signs."""
    found: dict[str, Path] = {}
    for text in options:
        fitting = [name for name in names if text.startswith(f"{name}=")]
        if not fitting:
            raise UsageError(
                f"{option} {text} names none of the claims and evidences",
                hint=f"write {option} {names[0] if names else 'CLAIM'}=FILE",
            )
        name = max(fitting, key=len)
        if name in found:
            raise UsageError(f"{option} is there twice for {name}")
        found[name] = Path(text[len(name) + 1 :])
    return found


def _watermark(claim: "Claim", owner: "OwnerKey", pictures: Path | None) -> "Watermark":
    from wmx.triggers.trigger_file import load_images
    from wmx.watermark import Watermark

    if pictures is None:
        return store().open(claim, owner)
    return Watermark.open(claim, owner, images=load_images(pictures))
