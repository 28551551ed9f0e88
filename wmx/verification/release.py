"""Making a release record, only of a model that verifies."""

from wmx.errors import UsageError
from wmx.protocol.keys import OwnerKey
from wmx.protocol.release_record import Relation, Release
from wmx.verification.verdict import Verdict
from wmx.watermark import Watermark


def record_of(
    verdict: Verdict,
    watermark: Watermark,
    owner: OwnerKey,
    *,
    relation: Relation = Relation.own,
    previous: str | None,
    software: str,
) -> Release:
    """Return a signed record of a verified model, to be dated and kept.

    Args:
        verdict: on an ONNX file.
        watermark: that the verdict is about.
        owner: the key that signed its claim.
        relation: whether the model is the owner's own, or a suspect that they found.
        previous: digest of the owner's last record of an own model with this mark.
        software: name and version of what makes the record.

    Raises:
        UsageError: the verdict is negative, or is not about a file and this watermark.
    """
    model = verdict.suspect
    if not verdict.verified or verdict.claim != watermark.claim.digest:
        raise UsageError(
            f"{model.name} does not verify under this claim: {verdict.bits:.1f} evidence "
            f"bits, {verdict.required_bits:g} needed",
            hint="only a model that bears the mark can have a record: train it longer, or see what "
            "wmx verify says",
        )
    if model.sha256 is None:
        raise UsageError(f"{model.name} is not a file, expected an ONNX file to record")
    return Release.sign(
        owner,
        watermark.claim,
        relation=relation,
        model=model.for_statement("a release record"),
        previous=previous,
        software=software,
    )
