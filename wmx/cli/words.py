"""Files, dates and trigger slices in words that several commands share."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wmx.protocol.claim import Claim
    from wmx.protocol.dating import Dating
    from wmx.protocol.model_reference import ModelReference
    from wmx.protocol.stamped import Stamped
    from wmx.protocol.task import Task
    from wmx.verification.evidence import Evidence


def command_line(*words: object) -> str:
    """Return a command that can be pasted into a shell, whatever its file names are."""
    from shlex import join

    return join(map(str, words))


def stamp_rows(file: "Stamped") -> dict[str, str]:
    """Return, for people, what the timestamps of a file assert, whether trusted or not."""
    from wmx.protocol.timestamp import asserted_stamps

    stamps = asserted_stamps(file)
    return {f"timestamp {number}": stamp for number, stamp in enumerate(stamps, 1)}


def digest_rows(model: "ModelReference") -> dict[str, str]:
    """Return, for people, the digests of a model's files."""
    weights = {f"sha256 of {name}": digest for name, digest in model.external.items()}
    return {"sha256": model.sha256 or "none"} | weights


def digest_fields(model: "ModelReference") -> dict[str, Any]:
    """Return, for programs, the digests of a model's files."""
    return {"sha256": model.sha256, "external": dict(model.external)}


def suspect_fields(suspect: "ModelReference") -> dict[str, Any]:
    """Return, for programs, the name of a suspect and the digests of its files."""
    digests = {f"suspect_{name}": value for name, value in digest_fields(suspect).items()}
    return {"suspect": suspect.name, **digests}


def dating_rows(dating: "Dating") -> dict[str, str]:
    """Return, for people, what a claim's timestamps prove; no rows where it has none."""
    rows = {}
    if dating.time is not None:
        rows["dated"] = (
            f"{utc(dating.time)}, by an authority under {dating.authority}; "
            "the lower bound is for models made after that"
        )
    for number, reason in enumerate(dating.refused, 1):
        rows["untrusted" if number == 1 else f"untrusted {number}"] = reason
    return rows


def dating_fields(dating: "Dating") -> dict[str, Any]:
    """Return, for programs, what a claim's timestamps prove."""
    return {
        "trusted_time": utc(dating.time) if dating.time else None,
        "trusted_authority": dating.authority or None,
        "untrusted_timestamps": list(dating.refused),
    }


def task_text(task: "Task") -> str:
    """Say what a claim is over: kind, shape and number of classes."""
    return f"{task.kind} {'x'.join(map(str, task.shape))}, {task.classes} classes"


def claim_fields(claim: "Claim", dating: "Dating") -> dict[str, Any]:
    """Return the claim's content for programs, as the fields of ``--json``.

    Args:
        claim: what is described.
        dating: what its timestamps prove.
    """
    return {
        "claim": claim.digest,
        "owner": claim.owner.hex(),
        "task": claim.task.to_json(),
        "n": claim.n,
        "root": claim.root.hex(),
        "created": claim.created,
        "note": claim.note,
        "timestamps": len(claim.timestamps),
        **dating_fields(dating),
    }


def utc(time: "datetime") -> str:
    """Return a time as ``YYYY-MM-DDThh:mm:ssZ``."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


def trigger_slice_text(evidence: "Evidence") -> str:
    """Say which triggers an evidence discloses."""
    first = evidence.trigger_slice.start
    return f"{first} to {first + len(evidence.trigger_slice) - 1} of {evidence.claim.n}"
