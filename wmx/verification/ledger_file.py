"""The file of a ledger: which triggers of a claim were disclosed, signed by the claim's owner.

Ledgers are looked for in every folder ``*.spent`` beside a key, whoever put it there, and what one
says takes triggers out of the count.  So only the owner key can say it (docs/evidence.md).
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from wmx.errors import IntegrityError
from wmx.protocol import jcs
from wmx.protocol.claim import Claim
from wmx.protocol.dsse import Envelope
from wmx.protocol.file_kind import LEDGER, LEDGER_TYPE
from wmx.protocol.keys import OwnerKey

PAYLOAD_TYPE = LEDGER_TYPE
FORMAT = 2
FIELDS = {"claim", "disclosed", "format"}
MOST_LETTERS = 64  # of a SHA-256 in hexadecimal
ENVELOPE_BYTES = 4096
ENTRY_BYTES = 512  # in base64
REFUSED_HINT = (
    "only the claim's owner can sign its ledger: find out who put this one there, and remove it if "
    "it is not yours; if it is, restore it from a backup, as it says which triggers are spent. A "
    "ledger of an earlier draft of wmx has no signature (docs/evidence.md says how to renew it)"
)


@dataclass(frozen=True)
class Disclosure:
    """An evidence that was made, or may have been if making it was interrupted.

    Attributes:
        start: index of the first trigger that it discloses.
        count: number of triggers that it discloses.
        suspect: SHA-256 of the suspect's file.
        evidence: SHA-256 of the evidence's file.
        time: when, ``YYYY-MM-DDThh:mm:ssZ``.
    """

    start: int
    count: int
    suspect: str
    evidence: str
    time: str


def disclosed(entries: Sequence[Disclosure]) -> int:
    """Return how many triggers the entries of a ledger disclose."""
    return sum(entry.count for entry in entries)


def most_bytes(claim: Claim) -> int:
    """Return the size beyond which no file is the ledger of a claim: each entry takes a trigger."""
    return ENVELOPE_BYTES + ENTRY_BYTES * claim.n


def ledger_to_bytes(entries: Sequence[Disclosure], claim: Claim, owner: OwnerKey) -> bytes:
    """Sign a ledger and return the content of its file.

    Args:
        entries: all that was disclosed, in order.
        claim: whose triggers they are.
        owner: the key that signed the claim.
    """
    document = {
        "claim": claim.digest,
        "disclosed": [asdict(entry) for entry in entries],
        "format": FORMAT,
    }
    return Envelope.seal(PAYLOAD_TYPE, jcs.dumps(document), owner).to_bytes()


def ledger_from_bytes(data: bytes, claim: Claim, what: str) -> list[Disclosure]:
    """Verify and read a ledger.

    Args:
        data: content of the file.
        claim: whose ledger it should be; its owner has to have signed it.
        what: the file, for errors.

    Returns:
        All that was disclosed, in order.

    Raises:
        IntegrityError: the owner of the claim did not sign it, it is damaged, of another claim or
            format, or discloses more triggers than the claim has.
        LimitError: it takes more time or memory than is left of the budget.
    """
    try:
        envelope = Envelope.from_bytes(data, what)
        envelope.require_kind(LEDGER, what)
        payload = envelope.verified_payload(PAYLOAD_TYPE, claim.owner, what)
        document = jcs.loads(payload, f"payload of {what}")
        with jcs.fields_of(what):
            return _entries(document, claim)
    except IntegrityError as error:
        raise IntegrityError(str(error), hint=REFUSED_HINT) from None


def _entries(document: Any, claim: Claim) -> list[Disclosure]:
    """Read the payload; raises ``KeyError``, ``TypeError`` or ``ValueError`` if it is malformed."""
    if set(document) != FIELDS:
        raise ValueError(f"its fields are {sorted(document)}, expected {sorted(FIELDS)}")
    if document["claim"] != claim.digest:
        raise ValueError(f"it is of the claim {document['claim']!r}, expected {claim.digest}")
    if document["format"] != FORMAT:
        raise ValueError(f"its format is {document['format']!r}, expected {FORMAT}")
    if not isinstance(document["disclosed"], list):
        raise TypeError("its entries are not a list")
    entries = []
    expected = 0
    for entry in map(_disclosure, document["disclosed"]):
        if entry.start != expected or entry.count < 1:
            raise ValueError(f"an entry starts at {entry.start}, expected {expected}")
        entries.append(entry)
        expected += entry.count
    if expected > claim.n:
        raise ValueError(f"it discloses {expected:,} triggers, and the claim has {claim.n:,}")
    return entries


def _disclosure(entry: Any) -> Disclosure:
    found = Disclosure(**entry)
    numbers, texts = (found.start, found.count), (found.suspect, found.evidence, found.time)
    if any(type(number) is not int for number in numbers):
        raise TypeError("the triggers of an entry are not integers")
    if any(not isinstance(text, str) for text in texts):
        raise TypeError("a field of an entry is not a string")
    if any(len(text) > MOST_LETTERS for text in texts):
        raise ValueError(f"a field of an entry has more than {MOST_LETTERS} characters")
    return found
