"""Making evidence: choose triggers, write the file, spend them in the ledger, then name the file.

In another order, triggers would be spent for nothing if the file cannot be written, or disclosed
again if the file existed before the ledger entry.  Once a ledger names the evidence it is kept,
whatever else fails.
"""

import hashlib
from pathlib import Path

from wmx._internal.files import read_bytes, sha256_of
from wmx._internal.writing import SECRET_MODE, Staged
from wmx.errors import CannotRunError, UsageError
from wmx.protocol.file_kind import EVIDENCE
from wmx.protocol.keys import MAX_KEY_BYTES, OwnerKey, is_encrypted
from wmx.protocol.model_reference import ModelReference
from wmx.protocol.replacing import require_output
from wmx.statistics.experts import BITS_WITHOUT_TIMESTAMP
from wmx.suspect.onnx_file import OnnxFile
from wmx.suspect.policy.model_header import NO_HEADER
from wmx.suspect.suspect import Suspect, opened
from wmx.verification.evidence import MAX_EVIDENCE_BYTES, Evidence, Run
from wmx.verification.ledger import Ledger
from wmx.verification.reveal import Choice, Reveal, choose
from wmx.verification.verdict import bits_to_ask
from wmx.watermark import Watermark


def prove(
    suspect: str | Path | Suspect,
    watermark: Watermark,
    owner: OwnerKey,
    path: str | Path,
    ledger: Ledger | str | Path,
    *,
    required_bits: float = BITS_WITHOUT_TIMESTAMP,
    claims_tried: int = 1,
    reveal: Reveal = "enough",
    force: bool = False,
) -> Evidence:
    """Write the evidence that a suspect carries a watermark.

    It discloses the next triggers that were never disclosed: as few as reach ``required_bits``, or
    as many as ``reveal`` says.  They are spent in the ledger once the file is written and before it
    has its name.

    >>> from wmx import Claim, OwnerKey, Watermark, prove
    >>> owner = OwnerKey.load("owner.pem")
    >>> watermark = Watermark.open(Claim.load("claim.json"), owner)
    >>> evidence = prove("model.onnx", watermark, owner, "new-evidence.json", "owner.pem")
    >>> len(evidence.trigger_slice)
    43

    Args:
        suspect: path of an ONNX file, or one that :func:`wmx.open_suspect` opened.
        watermark: the claim and its triggers.
        owner: the key that signed the claim.
        path: where to write.
        ledger: of the claim; or the path of the owner key, unencrypted, beside which it lies.
        required_bits: what the disclosed triggers have to give after all penalties.
        claims_tried: number of claims tested on the suspect.
        reveal: ``"enough"``, ``"all"`` that are left, or a number of triggers.
        force: replace ``path`` if it exists and is an evidence.

    Raises:
        UsageError: the suspect is not a file, or ``reveal`` is out of range.
        CannotRunError: the triggers that are left do not suffice, or a file cannot be written.  No
            trigger is spent then, unless the evidence could not be given its name, or one of
            several ledgers its new content, in the very last step: the error says so, and where the
            evidence is.
        KeyboardInterrupt: if it has a text, triggers are spent, and it says where the evidence is.
        IntegrityError: the claim's owner did not sign a ledger of the claim, or it is damaged.
    """
    require_output(path, EVIDENCE, force=force)
    bits_to_ask(required_bits, trusted_timestamp=False)
    if type(claims_tried) is not int or claims_tried < 1:
        raise UsageError(f"claims_tried is {claims_tried!r}, expected 1 or more")
    ledger = _ledger_of(watermark, owner, ledger)
    with opened(suspect) as asked:
        return _proved(
            asked, watermark, owner, Path(path), ledger, required_bits, claims_tried, reveal, force
        )


def _ledger_of(watermark: Watermark, owner: OwnerKey, given: Ledger | str | Path) -> Ledger:
    """Return the claim's ledger: in another one its triggers would be disclosed a second time."""
    if not isinstance(watermark, Watermark):
        raise UsageError(f"watermark is {type(watermark).__name__}, expected a Watermark")
    if isinstance(given, Ledger):
        if given.claim != watermark.claim.digest:
            raise UsageError(
                f"the ledger is of the claim {given.claim}, and the watermark is of "
                f"{watermark.claim.digest}"
            )
        return given
    pem = read_bytes(given, "owner key", MAX_KEY_BYTES)
    if is_encrypted(pem):
        raise UsageError(
            f"the owner key {given} is encrypted, and which key it is cannot be seen",
            hint="give Ledger(path, watermark.claim) of wmx.verification, beside the right key",
        )
    if OwnerKey.from_pem(pem, name=str(given)).public != owner.public:
        raise UsageError(f"the owner key {given} is another one than owner")
    return Ledger(given, watermark.claim)


def _proved(
    suspect: Suspect,
    watermark: Watermark,
    owner: OwnerKey,
    path: Path,
    ledger: Ledger,
    required_bits: float,
    claims_tried: int,
    reveal: Reveal,
    force: bool,
) -> Evidence:
    model = _file_to_prove(suspect)
    run = _run(suspect)
    while True:
        start = ledger.next_start()
        choice = choose(
            suspect,
            watermark,
            start,
            required_bits=required_bits,
            claims_tried=claims_tried,
            reveal=reveal,
        )
        evidence = _signed(model, watermark, owner, choice, run, required_bits)
        data = evidence.to_bytes()
        if len(data) > MAX_EVIDENCE_BYTES:
            raise CannotRunError(
                f"the evidence file would have {len(data):,} bytes, more than "
                f"{MAX_EVIDENCE_BYTES:,}"
            )
        digest = hashlib.sha256(data).hexdigest()
        count = len(choice.trigger_slice)
        # readable only by the owner until they hand it over
        with Staged(path, data, mode=SECRET_MODE, force=force) as file:
            spent = f"triggers {start} to {start + count - 1}"
            try:
                if ledger.spend(owner, start, count, suspect=str(model.sha256), evidence=digest):
                    file.publish()
                    return evidence
            except (Exception, KeyboardInterrupt) as error:
                if not ledger.has_spent(digest):
                    raise
                said, hint = _kept(file, spent)
                if isinstance(error, KeyboardInterrupt):
                    raise KeyboardInterrupt(said) from None
                raise CannotRunError(f"{error}; {said}", hint=hint) from error


def _kept(file: Staged, spent: str) -> tuple[str, str]:
    """Keep an evidence whose triggers are spent; return what became of it, and what to do."""
    kept = file.keep()
    if kept is None:
        return f"{spent} are spent nevertheless", "the next evidence file starts after them"
    return f"{spent} are spent, and the evidence file is {kept}", "rename this file"


def _signed(
    model: ModelReference,
    watermark: Watermark,
    owner: OwnerKey,
    choice: Choice,
    run: Run,
    required_bits: float,
) -> Evidence:
    trigger_slice = choice.trigger_slice
    indices = range(trigger_slice.start, trigger_slice.start + len(trigger_slice))
    try:
        return Evidence.sign(
            owner,
            trigger_slice,
            watermark.openings(indices),
            choice.probe,
            choice.predictions,
            probes_tried=choice.probes,
            required_bits=required_bits,
            selection=choice.selection,
            suspect=model,
            run=run,
        )
    except ValueError as error:
        raise UsageError(f"--min-bits is {required_bits}: {error}") from None


def _file_to_prove(suspect: Suspect) -> ModelReference:
    """Return the model as the evidence will name it, which has to be a file that is unchanged."""
    model = suspect.reference
    if model.sha256 is None:
        raise UsageError(
            f"{model.name} is not a file, expected an ONNX file to make evidence about",
            hint="give an ONNX file",
        )
    stated = model.for_statement(EVIDENCE)
    if sha256_of(model.name, "model") != model.sha256:
        raise CannotRunError(f"{model.name} was changed while it was verified")
    return stated


def _run(suspect: Suspect) -> Run:
    """Describe what was run, from the file that was run."""
    header = suspect.header if isinstance(suspect, OnnxFile) else NO_HEADER
    return Run(suspect.engine, header.opsets, header.producer)
