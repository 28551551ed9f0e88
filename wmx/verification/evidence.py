"""Evidence: a signed file with which a third party repeats the verdict (docs/evidence.md).

A DSSE envelope, signed with the owner key, around an in-toto Statement v1.  Reading one recomputes
everything that follows from the disclosed triggers: commitment, labels, hits, tail and bits.  If a
stated number differs, the file is refused as broken.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from wmx._internal.files import read_bytes
from wmx.errors import IntegrityError, UsageError
from wmx.protocol import jcs
from wmx.protocol.claim import SCHEME, Claim, checked_time, now_text
from wmx.protocol.commitment import Opening
from wmx.protocol.dsse import Envelope
from wmx.protocol.file_kind import EVIDENCE
from wmx.protocol.keys import OwnerKey
from wmx.protocol.model_reference import ModelReference
from wmx.protocol.statement import PAYLOAD_TYPE, checked_predicate, model_from_json, statement
from wmx.protocol.task import checked_decimal, decimal_string
from wmx.statistics.hits import fraction_text
from wmx.statistics.mixture import EvidenceScore, score_predictions
from wmx.statistics.predictions import Predictions
from wmx.statistics.probe import Probe
from wmx.suspect.overrides import Overrides
from wmx.triggers.trigger_slice import TriggerSlice
from wmx.verification.codec import (
    opening_to_json,
    predictions_from_json,
    predictions_to_json,
    probe_from_json,
    probe_to_json,
    trigger_slice_from_json,
)
from wmx.verification.selection import Selection

PREDICATE_TYPE = "urn:wmx:evidence:6"
MAX_EVIDENCE_BYTES = 256 * 1024**2
MAX_CLAIMS_TRIED = 1_000_000
MAX_PROBES = 16_384  # 64 views, 16 feedings, and 16 readings of each
MAX_INPUTS = 64  # of a model
STATED_BITS = re.compile(r"-?(0|[1-9][0-9]{0,19})\.[0-9]{6}")
BITS_TOLERANCE = 10  # millionths, between stated bits and those of another machine


@dataclass(frozen=True)
class Run:
    """What was run, as the owner states; it decides nothing.

    Attributes:
        engine: runtime, its version and execution provider.
        opsets, producer: what the model's file says of itself
            (:mod:`wmx.suspect.policy.model_header`).
    """

    engine: str
    opsets: tuple[str, ...]
    producer: str


@dataclass(frozen=True, repr=False)
class Evidence:
    """An evidence whose signature, commitment, labels and numbers were checked.

    >>> from wmx import Evidence
    >>> evidence = Evidence.load("evidence.json")
    >>> evidence.suspect.name, evidence.score.hits, evidence.score.bits > 128
    ('model.onnx', 43, True)

    Attributes:
        claim: the claim, with its timestamps.
        trigger_slice: the disclosed triggers and their labels.
        probe: by which the triggers were fed and the predictions read.
        predictions: of the suspect, as the owner states until they are repeated.
        probes_tried: number of plain probes with as many rows per call, this one included, which
            share a part of the mixture; of a view its plain probes, times the number of views; as
            the owner states.
        score: hits, tail and bits, recomputed from the predictions.
        required_bits: what the owner required, a decimal string.
        selection: claims tested on the suspect, as the owner states; as starts all triggers of the
            claim; and the owner's overrides of the suspect's inputs and outputs.  Its penalty is in
            the score.
        suspect: name and digests of the suspect's files.
        run: what was run.
        created: time as the owner states, ``YYYY-MM-DDThh:mm:ssZ``.
        envelope: the signed file.
    """

    claim: Claim
    trigger_slice: TriggerSlice
    probe: Probe
    predictions: Predictions
    probes_tried: int
    score: EvidenceScore
    required_bits: str
    selection: Selection
    suspect: ModelReference
    run: Run
    created: str
    envelope: Envelope

    @classmethod
    def sign(
        cls,
        key: OwnerKey,
        trigger_slice: TriggerSlice,
        openings: Sequence[Opening],
        probe: Probe,
        predictions: Predictions,
        *,
        probes_tried: int,
        required_bits: float,
        selection: Selection,
        suspect: ModelReference,
        run: Run,
        created: str | None = None,
    ) -> Self:
        """Make, sign and read back an evidence.

        Args:
            key: the key that signed the claim.
            trigger_slice: the triggers to disclose.
            openings: of these triggers, in their order.
            probe: by which the predictions were read.
            predictions: for all these triggers, or for the first ones.
            probes_tried: number of plain probes with as many rows per call.
            required_bits: what the owner requires.
            selection: what was chosen before; its starts have to be all triggers of the claim.
            suspect: name and digests of the suspect's files.
            run: what was run.
            created: time, ``YYYY-MM-DDThh:mm:ssZ``; now if ``None``.

        Raises:
            ValueError: it cannot be written: ``required_bits`` has too many digits.
            IntegrityError: what was made would be refused by a reader.
        """
        claim = trigger_slice.claim
        predicate = {
            "claim": {"digest": {"sha256": claim.digest}, "file": claim.to_json()},
            "claims_tried": selection.claims_tried,
            "answers": predictions_to_json(predictions, trigger_slice.task),
            "counted": _counted(
                score_predictions(
                    {probe: predictions},
                    trigger_slice,
                    penalty=selection.penalty,
                    plain={probe.group: probes_tried},
                )
            ),
            "created": created or now_text(),
            "openings": [opening_to_json(opening) for opening in openings],
            "inputs": dict(selection.overrides.inputs),
            "output": selection.overrides.output,
            "probes_tried": probes_tried,
            "required_bits": decimal_string(required_bits),
            "run": {"engine": run.engine, "opsets": list(run.opsets), "producer": run.producer},
            "scheme": SCHEME,
            "way": probe_to_json(probe),
            "window": {"count": len(trigger_slice), "start": trigger_slice.start},
        }
        payload = statement(PREDICATE_TYPE, predicate, suspect)
        return cls.from_bytes(Envelope.seal(PAYLOAD_TYPE, payload, key).to_bytes())

    @classmethod
    def from_bytes(cls, data: bytes, what: str = "evidence") -> Self:
        """Parse an evidence and recompute everything that can be recomputed from it.

        Args:
            data: content of the file.
            what: its name in errors.

        Raises:
            IntegrityError: it is not an evidence, was changed after signing, or is inconsistent: an
                opening does not belong to the commitment, or a number differs from the recomputed.
        """
        envelope = Envelope.from_bytes(data, what)
        envelope.require_kind(EVIDENCE, what)
        stated = jcs.loads(envelope.payload, f"payload of {what}")
        with jcs.fields_of(what):
            claim = Claim.from_json(stated["predicate"]["claim"]["file"], f"claim in {what}")
            envelope.verified_payload(PAYLOAD_TYPE, claim.owner, what)
            return cls._from_statement(stated, claim, envelope, what)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read an evidence file.  Raises :class:`CannotRunError` or as :meth:`from_bytes`."""
        return cls.from_bytes(read_bytes(path, "evidence", MAX_EVIDENCE_BYTES), f"evidence {path}")

    def to_bytes(self) -> bytes:
        """Return the signed file."""
        return self.envelope.to_bytes()

    @classmethod
    def _from_statement(cls, stated: Any, claim: Claim, envelope: Envelope, what: str) -> Self:
        """Read a statement whose signature was verified; raises as :meth:`from_bytes`."""
        predicate = checked_predicate(stated, PREDICATE_TYPE, claim, what)
        suspect = model_from_json(stated["subject"])
        run = predicate["run"]
        trigger_slice = trigger_slice_from_json(predicate["window"], predicate["openings"], claim)
        probe = probe_from_json(predicate["way"], trigger_slice.task)
        predictions = predictions_from_json(predicate["answers"], trigger_slice)
        probes_tried = _number("probes_tried", predicate["probes_tried"], MAX_PROBES)
        selection = Selection(
            _number("claims_tried", predicate["claims_tried"], MAX_CLAIMS_TRIED),
            claim.n,
            _overrides(predicate["inputs"], predicate["output"]),
        )
        score = score_predictions(
            {probe: predictions},
            trigger_slice,
            penalty=selection.penalty,
            plain={probe.group: probes_tried},
        )
        _compare(predicate["counted"], _counted(score), what)
        return cls(
            claim=claim,
            trigger_slice=trigger_slice,
            probe=probe,
            predictions=predictions,
            probes_tried=probes_tried,
            score=score,
            required_bits=checked_decimal(predicate["required_bits"]),
            selection=selection,
            suspect=suspect,
            run=Run(
                engine=_text(run["engine"]),
                opsets=_texts(run["opsets"]),
                producer=_text(run["producer"]),
            ),
            created=checked_time(predicate["created"]),
            envelope=envelope,
        )


def _overrides(inputs: Any, output: Any) -> Overrides:
    if not isinstance(inputs, dict) or len(inputs) > MAX_INPUTS:
        raise TypeError(f"the inputs are not an object of at most {MAX_INPUTS} numbers")
    try:
        return Overrides(
            {name: _text(number) for name, number in inputs.items()},
            None if output is None else _text(output),
        )
    except UsageError as error:
        raise ValueError(str(error)) from None


def _counted(score: EvidenceScore) -> dict[str, Any]:
    """Return the recomputed numbers in the form in which an evidence states them."""
    return {
        "bits": f"{score.bits:.6f}",
        "hits": score.hits,
        "tail": fraction_text(score.tail),
    }


def _compare(stated: Any, counted: dict[str, Any], what: str) -> None:
    """Refuse stated numbers that differ from the recomputed ones."""
    apart = _millionths(stated["bits"]) - _millionths(counted["bits"])
    exact = {name: stated[name] for name in ("hits", "tail")}
    if (
        type(stated["hits"]) is not int  # true is 1 in Python
        or exact != {name: counted[name] for name in exact}
        or abs(apart) > BITS_TOLERANCE
    ):
        raise IntegrityError(
            f"{what} states {stated['hits']} hits and {stated['bits']} bits; its own answers give "
            f"{counted['hits']} hits and {counted['bits']} bits"
        )


def _millionths(bits: Any) -> int:
    if not STATED_BITS.fullmatch(_text(bits)):
        raise ValueError(f"bits are {bits!r}, expected a number with six decimals")
    return int(bits.replace(".", ""))


def _number(name: str, value: Any, most: int) -> int:
    if type(value) is not int or not 1 <= value <= most:
        raise ValueError(f"{name} is {value!r}, expected 1 to {most:,}")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"found {type(value).__name__}, expected a string")
    return value


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError(f"found {type(value).__name__}, expected a list")
    return tuple(map(_text, value))
