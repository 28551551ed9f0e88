"""Sentences and tables of facts for the ownership report, in plain text."""

from collections.abc import Mapping

from wmx._internal.text import odds, printable, scientific
from wmx.protocol.claim import Claim
from wmx.protocol.dating import Dating
from wmx.protocol.keys import fingerprint
from wmx.protocol.model_reference import ModelReference
from wmx.verification.evidence import Evidence
from wmx.verification.verdict import Verdict

MAX_SHOWN_NAME = 60  # characters of a name that somebody else chose, within a sentence
SHOWN_FINGERPRINT = 16  # hexadecimal digits of a key's fingerprint; the claim's facts have the key

Facts = Mapping[str, str]


def owner_words(claim: Claim) -> str:
    """Return the claim's note, if it has one, and the fingerprint of its owner's key."""
    key = f"key fingerprint {fingerprint(claim.owner)[:SHOWN_FINGERPRINT]}"
    return f"{_quoted(claim.note)}, in the claim's own words; {key}" if claim.note else key


def _quoted(text: str) -> str:
    """Return somebody else's words so that they cannot seem to be the report's."""
    return '"' + printable(text.replace('"', "'"), MAX_SHOWN_NAME) + '"'


def hits_sentence(name: str, hits: int, n: int) -> str:
    """Say how many triggers were hits.

    Args:
        name: of the model; may be chosen by somebody else.
        hits: number of hits.
        n: number of triggers.
    """
    return (
        f"The model {_quoted(name)} was queried with {n} secret inputs (triggers), whose labels "
        f"the claim fixes, and predicted that label for {hits} of them."
    )


def _tail_words(hits: int, n: int, log10_tail: float) -> str:
    return (
        f"{hits} of {n}; guesses reach this with probability {scientific(log10_tail)} (for "
        "information: the evidence decides)"
    )


def bits_sentences(bits: float, required: float, too_few: str | None) -> list[str]:
    """Return the verdict's odds, and what a no does not mean.

    Args:
        bits: of evidence.
        required: bits for a yes.
        too_few: why the triggers are too few for an exact copy, in words; ``None`` if they could.
    """
    found = [f"The evidence is {bits:.1f} bits, and {required:g} are required: {odds(bits)}."]
    if bits < required and too_few is not None:
        found.append(f"That says nothing about the model: {too_few}.")
    elif bits < required:
        found.append(
            "That is not enough. It does not show that the model is no copy: a watermark can be "
            "erased."
        )
    return found


def date_sentence(claim: Claim, dating: Dating) -> str:
    """Say when the claim was made, and by whose word.

    Args:
        claim: the claim.
        dating: what its timestamps are worth here.
    """
    if dating.time is None:
        return (
            f"The claim says that it was made at {time_words(claim.created)}; that is its "
            "owner's word, with no timestamp that is trusted here."
        )
    stamped = time_words(f"{dating.time:%Y-%m-%dT%H:%M:%SZ}")
    return f"The claim was dated {stamped} by an authority under {dating.authority}."


def model_facts(model: ModelReference, engine: str, proof: Evidence | None) -> Facts:
    """Return the facts about a model.

    Args:
        model: named without a folder.
        engine: what ran it here.
        proof: evidence about it, whose facts are added.
    """
    weights = {f"SHA-256 of {name}": digest for name, digest in model.external.items()}
    facts = {"file": model.name, "SHA-256": model.sha256 or "none", **weights, "run by": engine}
    if proof is not None:
        facts["run by, as the owner says"] = proof.run.engine
        facts["operator sets"] = ", ".join(proof.run.opsets)
        facts["producer, as the file says"] = proof.run.producer or "none"
    return facts


def claim_facts(claim: Claim, dating: Dating) -> Facts:
    """Return the facts about a claim.

    Args:
        claim: the claim.
        dating: what its timestamps are worth here.
    """
    task = claim.task
    facts = {
        "digest (SHA-256)": claim.digest,
        "owner (Ed25519 public key)": claim.owner.hex(),
        "commitment (Merkle root)": claim.root.hex(),
        "made, as its owner says": time_words(claim.created),
        "task": f"{task.kind} {' x '.join(map(str, task.shape))}, {task.classes} classes",
        "triggers": f"{claim.n}",
        "note": claim.note or "none",
    }
    if dating.time is not None:
        facts["dated"] = f"{time_words(f'{dating.time:%Y-%m-%dT%H:%M:%SZ}')}, {dating.authority}"
    for number, reason in enumerate(dating.refused, 1):
        facts[f"timestamp {number} that does not count"] = reason
    return facts


def count_facts(verdict: Verdict) -> Facts:
    """Return the facts about a verdict."""
    selection = verdict.selection
    hidden = {
        "hidden": "the file computes the mark and hides it from its outputs: it was found by "
        f"looking into the file, by the view {verdict.hidden_in!r}"
    }
    return {
        "evidence": f"{verdict.bits:.2f} bits; {verdict.required_bits:g} are required",
        "hits": _tail_words(verdict.hits, verdict.n, verdict.log10_tail),
        "subtracted for choices": f"{selection.penalty:.2f} bits: "
        f"claims tried {selection.claims_tried}"
        + (", overrides of inputs and outputs" if selection.overrides.penalty else "")
        + (", and the first trigger" if selection.starts > 1 else ""),
        "best probe": f"{verdict.best_probe} "
        f"(of {verdict.probes_tried} tried; a probe is one way of feeding inputs to the model and "
        "reading its outputs)",
        **(hidden if verdict.hidden_in else {}),
    }


def repeated_facts(again: Verdict) -> Facts:
    """Return the fact that a check gave more bits than the evidence states."""
    return {
        "repeated here": f"{again.bits:.2f} bits, {again.hits} of {again.n} hits; the fewer bits "
        "count, and those are the stated ones"
    }


def proof_facts(proof: Evidence) -> Facts:
    """Return the facts that signed evidence states."""
    trigger_slice, score = proof.trigger_slice, proof.score
    last = trigger_slice.start + len(trigger_slice) - 1
    return {
        "stated by the signed evidence": f"{score.bits:.2f} bits, {score.hits} of {score.n} "
        f"hits, claims tried: {proof.selection.claims_tried}",
        "stated hits": _tail_words(score.hits, score.n, score.log10_tail),
        "triggers disclosed": f"{trigger_slice.start} to {last} of {proof.claim.n}, each opened "
        "from the commitment",
        "evidence made, as its owner says": time_words(proof.created),
    }


def time_words(created: str) -> str:
    """Spell ``YYYY-MM-DDThh:mm:ssZ`` for people."""
    return created.replace("T", " ").replace("Z", " UTC")
