"""In-toto Statements v1 about a model: the common part of evidence and release records.

Specification: https://github.com/in-toto/attestation/tree/main/spec/v1.  The subjects are the files
of the model: its ONNX file, then those beside it that hold its weights.
"""

from collections.abc import Mapping
from typing import Any

from wmx._internal.text import is_file_name, printable
from wmx.errors import IntegrityError
from wmx.protocol import jcs
from wmx.protocol.claim import SCHEME, Claim
from wmx.protocol.encoding import decode_base64, decode_hex32
from wmx.protocol.model_reference import ModelReference

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
MAX_SUBJECTS = 1001  # as many files of weights as a model may have, and its own


def statement(
    predicate_type: str,
    predicate: Mapping[str, Any],
    model: ModelReference,
) -> bytes:
    """Return the payload of a statement in RFC 8785 form.

    Args:
        predicate_type: what kind of statement it is.
        predicate: what is stated.
        model: whose files are the subjects.
    """
    files = ((model.name, model.sha256), *sorted(model.external.items()))
    return jcs.dumps(
        {
            "_type": STATEMENT_TYPE,
            "predicate": dict(predicate),
            "predicateType": predicate_type,
            "subject": [{"digest": {"sha256": digest}, "name": name} for name, digest in files],
        }
    )


def checked_predicate(
    stated: Any, predicate_type: str, claim: Claim, what: str
) -> Mapping[str, Any]:
    """Return the predicate of a statement after checking its type and its claim.

    Args:
        stated: the statement, whose signature was verified.
        predicate_type: expected type.
        claim: that the statement contains.
        what: the file's name in error messages.

    Raises:
        IntegrityError: it is of another kind or scheme, or names another claim.
        KeyError, TypeError: it is no statement.
    """
    predicate: Mapping[str, Any] = stated["predicate"]
    kind = [stated["_type"], stated["predicateType"], predicate["scheme"]]
    if kind != [STATEMENT_TYPE, predicate_type, SCHEME]:
        raise IntegrityError(
            f"{what} is a statement of a kind that this version does not know here: {kind}",
            hint="see what it is with wmx info FILE; a newer wmx may know it",
        )
    if predicate["claim"]["digest"]["sha256"] != claim.digest:
        raise IntegrityError(f"{what} names another claim than the one it holds")
    return predicate


def model_from_json(subjects: Any) -> ModelReference:
    """Return the model whose files are the subjects of a statement, its ONNX file first.

    Names must be plain file names: commands show them, so they must not imitate a verdict or lead
    to another folder.  There may be no digest beside the SHA-256 that is compared.

    Raises:
        KeyError, TypeError, ValueError: anything else stands there.
    """
    if not isinstance(subjects, list) or not 1 <= len(subjects) <= MAX_SUBJECTS:
        raise ValueError(f"the subject is no list of 1 to {MAX_SUBJECTS} files")
    found = []
    for subject in subjects:
        name, digest = subject["name"], subject["digest"]
        if not isinstance(name, str):
            raise TypeError(f"found {type(name).__name__}, expected a string")
        if not is_file_name(name):
            raise ValueError(f"a subject's name is no file name: {printable(name, 60)!r}")
        if set(digest) != {"sha256"}:
            raise ValueError("a subject's digest is not exactly one SHA-256")
        found.append((name, decode_hex32(digest["sha256"]).hex()))
    if len(dict(found)) < len(found):
        raise ValueError("a file occurs twice among the subjects")
    (name, sha256), *external = found
    return ModelReference(name, sha256, dict(external))


def stated_type(file: Any) -> str | None:
    """Return the predicate type that a signed file states, before any signature is checked.

    Args:
        file: the parsed JSON.

    Returns:
        the predicate type, an empty string if it cannot be read; ``None`` if it is no statement.
    """
    if not isinstance(file, dict) or file.get("payloadType") != PAYLOAD_TYPE:
        return None
    try:
        stated = jcs.loads(decode_base64(file["payload"]), "payload")
        return str(stated["predicateType"])
    except (KeyError, TypeError, ValueError, IntegrityError):
        return ""
