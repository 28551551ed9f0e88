"""The release record: a signed, timestamped statement that a model bears an owner's watermark.

A DSSE envelope, signed with the owner key, around an in-toto Statement v1 (docs/disputes.md).  It
binds the digests of a model's files to a claim.  Its content is the signer's word; that it
was signed no later than a trusted timestamp is proven.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar, Self

from wmx._internal.text import printable
from wmx.protocol import jcs
from wmx.protocol.claim import MAX_CLAIM_BYTES, SCHEME, Claim, checked_time, now_text
from wmx.protocol.dsse import Envelope
from wmx.protocol.encoding import decode_hex32
from wmx.protocol.keys import OwnerKey
from wmx.protocol.model_reference import ModelReference
from wmx.protocol.stamped import Stamped, envelope_and_timestamps
from wmx.protocol.statement import PAYLOAD_TYPE, checked_predicate, model_from_json, statement

PREDICATE_TYPE = "urn:wmx:release:1"
MAX_RELEASE_BYTES = 2 * MAX_CLAIM_BYTES
MAX_SOFTWARE = 100  # characters


class Relation(StrEnum):
    """Where the signer has the model from."""

    own = "own"  # the signer made it
    found = "found"  # a suspect that bears the signer's watermark


@dataclass(frozen=True, repr=False)
class Release(Stamped):
    """A release record whose signature was checked, under the key of the claim that it holds.

    Attributes:
        claim: whose watermark the model bears, with the timestamps that it had.
        relation: where the signer has the model from.
        model: name and digests of its files.
        previous: digest of the signer's previous record of an own model with the same watermark,
            hexadecimal; ``None`` if this is the first.
        created: the time that the signer states, ``YYYY-MM-DDThh:mm:ssZ``; proves nothing.
        software: what made the record.
    """

    KIND: ClassVar[str] = "release record"
    MAX_BYTES: ClassVar[int] = MAX_RELEASE_BYTES

    claim: Claim
    relation: Relation
    model: ModelReference
    previous: str | None
    created: str
    software: str

    def __repr__(self) -> str:
        return f"Release({self.digest[:16]}, {self.relation} {self.model.name!r})"

    @classmethod
    def sign(
        cls,
        key: OwnerKey,
        claim: Claim,
        *,
        relation: Relation,
        model: ModelReference,
        previous: str | None = None,
        created: str | None = None,
        software: str,
    ) -> Self:
        """Make, sign and read back a record.

        Args:
            key: of the claim's owner.
            claim: whose watermark the model bears.
            relation, model, previous, software: as the attributes.
            created: ``YYYY-MM-DDThh:mm:ssZ``; now if ``None``.

        Raises:
            IntegrityError: readers would refuse the record: the key is not that of the claim, a
                name is no file name, or the model has no file.
        """
        predicate = {
            "claim": {"digest": {"sha256": claim.digest}, "file": claim.to_json()},
            "created": created or now_text(),
            "previous": previous,
            "relation": str(relation),
            "scheme": SCHEME,
            "software": software,
        }
        payload = statement(PREDICATE_TYPE, predicate, model)
        return cls.from_json(Envelope.seal(PAYLOAD_TYPE, payload, key).to_json())

    @classmethod
    def from_json(cls, file: Any, what: str = "") -> Self:
        """Verify and read the JSON object of a record's file.

        The claim in it is verified first, then the signature of that claim's owner, before anything
        else is used.

        Args:
            file: the parsed JSON.
            what: the file's name in error messages.

        Raises:
            IntegrityError: not a release record, changed after signing, or of an unknown version.
        """
        what = what or cls.KIND
        envelope, timestamps = envelope_and_timestamps(file, what)
        envelope.require_kind("a release record", what)
        stated = jcs.loads(envelope.payload, f"payload of {what}")
        with jcs.fields_of(what):
            claim = Claim.from_json(stated["predicate"]["claim"]["file"], f"claim in {what}")
            envelope.verified_payload(PAYLOAD_TYPE, claim.owner, what)
            return cls._from_statement(stated, claim, envelope, timestamps, what)

    @classmethod
    def _from_statement(
        cls,
        stated: Any,
        claim: Claim,
        envelope: Envelope,
        timestamps: tuple[bytes, ...],
        what: str,
    ) -> Self:
        """Read a statement whose signature was verified; raises as :meth:`from_json`."""
        predicate = checked_predicate(stated, PREDICATE_TYPE, claim, what)
        previous = predicate["previous"]
        return cls(
            envelope=envelope,
            timestamps=timestamps,
            claim=claim,
            relation=Relation(predicate["relation"]),
            model=model_from_json(stated["subject"]),
            previous=None if previous is None else decode_hex32(previous).hex(),
            created=checked_time(predicate["created"]),
            software=_line(predicate["software"]),
        )


def _line(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"found {type(value).__name__}, expected a string")
    if len(value) > MAX_SOFTWARE or printable(value) != value:
        raise ValueError(f"the software is no line of at most {MAX_SOFTWARE} characters")
    return value
