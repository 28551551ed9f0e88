"""``wmx info``: what a file is, and how a claim's triggers would be fed to a model."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wmx._internal.text import printable
from wmx.cli.claim import shown
from wmx.cli.common import (
    JsonOption,
    MemoryOption,
    SecondsOption,
    WeightsOption,
    answer,
    held_to_limits,
    never_weights,
    suspect_limits,
    table,
)
from wmx.cli.release import shown as shown_release
from wmx.cli.words import (
    command_line,
    digest_fields,
    digest_rows,
    stamp_rows,
    suspect_fields,
    trigger_slice_text,
)
from wmx.errors import IntegrityError, UsageError

if TYPE_CHECKING:
    from wmx.suspect.feeding import Feeding
    from wmx.suspect.onnx_file import OnnxFile

READ = "a key, claim, evidence file, release record, trigger file or ONNX model"


@held_to_limits
def info(
    named: Annotated[str, typer.Argument(metavar="FILE", help="The file to look at.")],
    claim: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="For a model: show how triggers of this claim would be fed to it."
        ),
    ] = None,
    weights: WeightsOption = None,
    seconds: SecondsOption = None,
    memory: MemoryOption = None,
    json: JsonOption = False,
) -> None:
    """Show what a file is and says: a key, claim, evidence file, release record, model or triggers.

    Of a key only the public part is shown.
    """
    from wmx._internal.files import read_head
    from wmx.suspect.suspect import is_address

    if is_address(named):  # no Path: it would make one slash of two
        raise UsageError(
            f"{named} is an address, expected a file", hint="wmx verify queries addresses"
        )
    file = Path(named)
    head = read_head(file, "file", 64)
    _require_readable(file, head)
    if head.startswith(b"-----BEGIN"):
        text, fields = _key(file)
    elif head.startswith(b"{"):
        text, fields = _signed(file)
    elif head[8:9] == b"{":
        text, fields = _triggers(file)
    else:
        from wmx.suspect.onnx_file import OnnxFile
        from wmx.suspect.sandbox.process import Sandbox

        with Sandbox.start(suspect_limits(seconds, memory)) as sandbox:
            never = never_weights(None, claim)
            model = OnnxFile.open(file, "cpu", sandbox, weights=weights or [], apart_from=never)
            text, fields = _model(model, claim)
    answer("info", text, {"path": str(file), **fields}, as_json=json)


def _require_readable(file: Path, head: bytes) -> None:
    """Refuse what no part of ``info`` reads, before one of them takes it for a broken file."""
    text = head.lstrip(b"\xef\xbb\xbf").decode("utf-8", "replace").lower()
    if '"wmx_attacks"' in text:
        found = "is a result of wmx attack, which is plain JSON"
    elif text.startswith(("<!doctype html", "<html")):
        found = "is an HTML page"
    elif head and not head.startswith((b"{", b"-----BEGIN")) and _is_text(head):
        found = "is a text file"
    else:
        return
    raise IntegrityError(f"{_shown(file)} {found}, expected {READ}")


def _is_text(head: bytes) -> bool:
    """Say whether bytes are printable text; a character may be cut in two at the end."""
    text = head[:-4].decode("utf-8", "replace") if len(head) > 60 else head.decode(errors="replace")
    return all(sign.isprintable() or sign in "\r\n\t" for sign in text) and "\ufffd" not in text


def _key(file: Path) -> tuple[str, dict[str, Any]]:
    from wmx._internal.files import read_bytes
    from wmx.cli.common import load_owner
    from wmx.protocol.keys import MAX_KEY_BYTES, fingerprint, is_encrypted

    protected = is_encrypted(read_bytes(file, "owner key", MAX_KEY_BYTES))
    owner = load_owner(file)
    rows = {
        "public key": owner.public.hex(),
        "fingerprint": fingerprint(owner.public),
        "passphrase": "yes" if protected else "no",
    }
    fields = {
        "kind": "owner key",
        "public": owner.public.hex(),
        "fingerprint": fingerprint(owner.public),
        "passphrase": protected,
    }
    return f"owner key {_shown(file)} (secret: do not share it)\n{table(rows)}", fields


def _signed(file: Path) -> tuple[str, dict[str, Any]]:
    """Show a claim, an evidence or a release record, whichever the payload says it is."""
    from wmx._internal.files import read_bytes
    from wmx.protocol import jcs
    from wmx.protocol.release_record import PREDICATE_TYPE as RELEASE
    from wmx.protocol.statement import stated_type
    from wmx.verification.evidence import MAX_EVIDENCE_BYTES

    document = jcs.loads(read_bytes(file, "file", MAX_EVIDENCE_BYTES), str(file))
    match stated_type(document):
        case None:
            text, fields = shown(file)
            return text, {"kind": "claim", **fields}
        case kind if kind == RELEASE:
            text, fields = shown_release(file)
            return text, {"kind": "release record", **fields}
    return _evidence(file)


def _evidence(file: Path) -> tuple[str, dict[str, Any]]:
    from wmx.verification.evidence import Evidence

    evidence = Evidence.load(file)
    score = evidence.score
    rows = {
        "about": evidence.suspect.name,
        **digest_rows(evidence.suspect),
        "claim": evidence.claim.digest,
        "owner": evidence.claim.owner.hex(),
        **stamp_rows(evidence.claim),
        "discloses": f"triggers {trigger_slice_text(evidence)}",
        "states": f"{score.hits} of {score.n} hits, {score.bits:.1f} bits",
        "created": f"{evidence.created} (as the owner states)",
        "run by": evidence.run.engine,
        "model file": ", ".join([*evidence.run.opsets, evidence.run.producer]),
    }
    fields = {
        "kind": "evidence",
        **suspect_fields(evidence.suspect),
        "claim": evidence.claim.digest,
        "owner": evidence.claim.owner.hex(),
        "timestamps": len(evidence.claim.timestamps),
        "start": evidence.trigger_slice.start,
        "count": len(evidence.trigger_slice),
        "hits": score.hits,
        "bits": score.bits,
        "created": evidence.created,
    }
    name = _shown(file)
    head = (
        f"evidence file {name}: signed by the claim's owner, and its numbers add up; check it with"
    )
    return (
        f"{head}\n  {command_line('wmx', 'check', name)} --model MODEL.onnx\n{table(rows)}",
        fields,
    )


def _triggers(file: Path) -> tuple[str, dict[str, Any]]:
    from wmx.triggers.trigger_file import has_images, load_images

    if not has_images(file):
        raise IntegrityError(
            f"{_shown(file)} is a safetensors file without trigger images, such as the weights or "
            f"the checkpoint of a model, expected {READ}",
            hint="wmx info shows the model that they belong to: model.onnx beside them",
        )
    images = load_images(file)
    shape = "x".join(map(str, images.shape[1:]))
    return (
        f"trigger file {_shown(file)}: {len(images)} secret images of {shape} (do not share it)",
        {"kind": "triggers", "n": len(images), "shape": list(images.shape[1:])},
    )


def _model(model: "OnnxFile", claim_path: Path | None) -> tuple[str, dict[str, Any]]:
    from wmx.protocol.claim import Claim

    rows = digest_rows(model.reference)
    for role, ports in (("input", model.session.inputs), ("output", model.session.outputs)):
        for number, port in enumerate(ports, 1):
            rows[f"{role} {number}" if len(ports) > 1 else role] = str(port)
    fields: dict[str, Any] = {
        "kind": "model",
        **digest_fields(model.reference),
        "inputs": [_port_fields(port) for port in model.session.inputs],
        "outputs": [_port_fields(port) for port in model.session.outputs],
    }
    if claim_path is not None:
        task = Claim.load(claim_path).task
        bindings = [_binding(feeding) for feeding in model.feedings(task)]
        for number, (text, _) in enumerate(bindings, 1):
            rows[f"fed as {number}" if len(bindings) > 1 else "fed as"] = text
        fields["bindings"] = [binding for _, binding in bindings]
    return f"ONNX model {_shown(Path(model.reference.name))}\n{table(rows)}", fields


def _binding(feeding: "Feeding") -> tuple[str, dict[str, Any]]:
    own, *others = feeding.scalings
    scaling = own or "as the claim says"
    tried = own or "the claim's"
    text = f"layout {feeding.name}; scaling tried: {tried}"
    if others:
        text += f", then {', '.join(others)}"
    return text, {"feeding": feeding.name, "scaling": scaling, "other_scalings": others}


def _shown(file: Path) -> str:
    """Return a name made safe to print: a stranger's file may have any."""
    return printable(str(file), None)


def _port_fields(port: Any) -> dict[str, Any]:
    return {"name": port.name, "type": port.type, "shape": list(port.shape)}
