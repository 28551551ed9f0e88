"""One function per parser: bytes in; nothing out, or the error wmx promises; all else is a finding.

What a parser accepts must also be what it would write itself, where it writes at all.
"""

import json
import os
import struct
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wmx import OwnerKey
from wmx._internal.der import with_certificates_in_order
from wmx._internal.http import _parsed_proxy, checked_address, is_this_machine
from wmx._internal.images import read_picture
from wmx._internal.text import is_file_name
from wmx.attacks.results import Results
from wmx.errors import CannotRunError, IntegrityError, SuspectDiedError, UsageError
from wmx.protocol import jcs
from wmx.protocol.claim import PAYLOAD_TYPE as CLAIM_TYPE
from wmx.protocol.claim import Claim
from wmx.protocol.dsse import Envelope
from wmx.protocol.encoding import ARRAY_DTYPES, encode_array
from wmx.protocol.release_record import Release
from wmx.protocol.statement import PAYLOAD_TYPE as STATEMENT
from wmx.protocol.timestamp import asserted_stamp, date_claim, load_roots, trusted_stamp
from wmx.suspect.endpoint.messages import ProtocolError, outputs_of, parsed
from wmx.suspect.endpoint.messages import ports_of as served
from wmx.suspect.outputs import found_in
from wmx.suspect.policy.external_files import is_exporters_name
from wmx.suspect.policy.onnx_header import read_header
from wmx.suspect.policy.onnx_rules import require_harmless
from wmx.suspect.policy.ort_rules import require_harmless_ort
from wmx.suspect.policy.secrets import HEAD_BYTES, PEM_BEGINS, kind_of_secret
from wmx.suspect.remote import file_names_of, header_of, ports_of
from wmx.suspect.sandbox import wire
from wmx.suspect.tables import Joined
from wmx.suspect.values import Texts
from wmx.suspect.views.session import MAX_VIEWS, names_of
from wmx.suspect.views.skeleton import THIS_FILE, skeleton_of
from wmx.training.checkpoint import Identity, load_checkpoint
from wmx.training.data.loaders import read_npz, read_table
from wmx.triggers.trigger_file import load_images
from wmx.verification.evidence import Evidence
from wmx.verification.ledger_file import PAYLOAD_TYPE as LEDGER_TYPE
from wmx.verification.ledger_file import disclosed, ledger_from_bytes, ledger_to_bytes

KEY = OwnerKey.from_pem(
    b"-----BEGIN PRIVATE KEY-----\n"
    b"MC4CAQAwBQYDK2VwBCIEIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f\n"
    b"-----END PRIVATE KEY-----\n"
)
VECTORS = Path(__file__).parents[1] / "vectors" / "evidence-6"
STAMPED = Claim.load(VECTORS / "cells-grey.dated.claim.json")
ROOTS = load_roots(VECTORS / "roots.pem")
STAMPED_AT = date_claim(STAMPED, ROOTS).time
MEMORY = os.memfd_create("fuzz")
IN_MEMORY = Path(f"/proc/self/fd/{MEMORY}")
NUMBERS = ("b1", "u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8")


def canonical_json(data: bytes) -> None:
    with suppress(IntegrityError):
        assert jcs.dumps(jcs.loads(data, "x")) == data


def dsse(data: bytes) -> None:
    with suppress(IntegrityError):
        assert Envelope.from_bytes(data, "x").to_bytes() == data


def claim(data: bytes) -> None:
    with suppress(IntegrityError):
        assert Claim.from_bytes(data).to_bytes() == data


def claim_payload(data: bytes) -> None:
    """What an owner might sign, so that the signature does not hide the rest of the parser."""
    with suppress(IntegrityError):
        read = Claim.from_bytes(Envelope.seal(CLAIM_TYPE, data, KEY).to_bytes())
        assert read.owner == KEY.public
        assert read.envelope.payload == data


def evidence(data: bytes) -> None:
    with suppress(IntegrityError):
        assert Evidence.from_bytes(data).to_bytes() == data


def evidence_payload(data: bytes) -> None:
    """What the owner of the claim in the corpus might sign; it never says more than his best."""
    with suppress(IntegrityError):
        read = Evidence.from_bytes(Envelope.seal(STATEMENT, data, KEY).to_bytes())
        assert read.envelope.payload == data
        assert 0 <= read.score.hits <= read.score.n == len(read.trigger_slice)
        assert read.score.bits <= read.score.n * np.log2(read.claim.task.classes)


def release(data: bytes) -> None:
    with suppress(IntegrityError):
        assert Release.from_bytes(data).to_bytes() == data


def release_payload(data: bytes) -> None:
    """What the owner of the claim in the corpus might sign."""
    with suppress(IntegrityError):
        read = Release.from_bytes(Envelope.seal(STATEMENT, data, KEY).to_bytes())
        assert read.envelope.payload == data
        assert read.claim.owner == KEY.public
        assert read.model.has_same_files(read.model)


def ledger(data: bytes) -> None:
    """What lies beside a key under the name of the ledger of a claim."""
    with suppress(IntegrityError):
        assert ledger_to_bytes(ledger_from_bytes(data, STAMPED, "x"), STAMPED, KEY) == data


def ledger_payload(data: bytes) -> None:
    """What the owner of a claim might sign; it never discloses more than the claim has."""
    file = Envelope.seal(LEDGER_TYPE, data, KEY).to_bytes()
    with suppress(IntegrityError):
        entries = ledger_from_bytes(file, STAMPED, "x")
        assert disclosed(entries) <= STAMPED.n
        assert ledger_to_bytes(entries, STAMPED, KEY) == file


def timestamp(data: bytes) -> None:
    """A response over a claim's signature; none that was changed may move the trusted date."""
    in_order = with_certificates_in_order(data)
    assert sorted(in_order) == sorted(data)
    assert with_certificates_in_order(in_order) == in_order
    with suppress(IntegrityError):
        asserted_stamp(data, STAMPED)
        assert trusted_stamp(data, STAMPED, ROOTS)[0] == STAMPED_AT


def encoding(data: bytes) -> None:
    """Encode an array made of the bytes, and read it back by the letter of docs/protocol.md."""
    if len(data) < 4:
        return
    dtype = np.dtype(ARRAY_DTYPES[data[0] % len(ARRAY_DTYPES)])
    elements = np.frombuffer(data[4 : 4 + (len(data) - 4) // 4 * 4], np.uint8).view(dtype)
    rows = 1 + data[1] % 7
    array = elements[: len(elements) // rows * rows].reshape(rows, -1)
    encoded = encode_array(array)
    parts, position = [], 0
    while position < len(encoded):
        (size,) = struct.unpack_from(">Q", encoded, position)
        parts.append(encoded[position + 8 : position + 8 + size])
        position += 8 + size
    name, rank, dims, values = parts
    assert name.decode() == dtype.name
    assert struct.unpack(">I", rank) == (2,)
    assert struct.unpack(">2I", dims) == array.shape
    found = np.frombuffer(values, dtype.newbyteorder(">")).astype(dtype)
    assert found.tobytes() == array.tobytes()


def key(data: bytes) -> None:
    with suppress(IntegrityError):
        OwnerKey.from_pem(data, b"passphrase")


def npz(data: bytes) -> None:
    with suppress(CannotRunError, UsageError, MemoryError):
        read_npz(_file(data))


def safetensors(data: bytes) -> None:
    with suppress(IntegrityError):
        images = load_images(_file(data))
        assert images.ndim == 4


def checkpoint(data: bytes) -> None:
    identity = Identity("torch", {"epochs": 3}, None, "data")
    with suppress(IntegrityError, UsageError):
        epoch, _ = load_checkpoint(_file(data), identity)
        assert epoch > 0


def onnx_walk(data: bytes) -> None:
    with suppress(CannotRunError):
        require_harmless(data, "x")


def ort_walk(data: bytes) -> None:
    with suppress(CannotRunError):
        require_harmless_ort(data, "x")


def served_ports(data: bytes) -> None:
    with suppress(ProtocolError):
        model = parsed(data)
        for side in ("inputs", "outputs"):
            assert all(port.name for port in served(model.get(side)))


def served_answer(data: bytes) -> None:
    """A response: the length of its JSON in two bytes, 0 for all of it, and then the body."""
    length = int.from_bytes(data[:2], "big")
    with suppress(ProtocolError):
        found = outputs_of(data[2:], str(length) if length else None, defaultdict(Texts), ["y"])
        assert sum(array.size for array in found.values()) <= len(data)


def onnx_weights(data: bytes) -> None:
    """A model with weights beside it: no place outside the folder, no byte outside the file."""
    with suppress(CannotRunError):
        outline = require_harmless(data, "x")
        assert all(is_file_name(name) for name in outline.files)
        outline.require_weights(dict.fromkeys(outline.files, 64))
        for place in outline.places:
            assert place.external.offset + (place.external.length or 0) <= 64


def model_header(data: bytes) -> None:
    header = read_header(data)
    assert all(isinstance(word, str) for word in (header.producer, *header.opsets))


def child_ports(data: bytes) -> None:
    """What a child says of the model's inputs, as JSON: printable, of known shape, or disowned."""
    with suppress(ValueError, RecursionError, SuspectDiedError):
        for port in ports_of(Disowning(), json.loads(data)):
            assert port.name.isprintable()
            assert port.type.isprintable()


def child_files(data: bytes) -> None:
    """What a child says of the files that a model needs: names of files, each once."""
    with suppress(ValueError, RecursionError, SuspectDiedError):
        names = file_names_of(Disowning(), json.loads(data))
        assert all(is_file_name(name) for name in names)
        assert len(set(names)) == len(names)
        for name in names:
            assert not (is_exporters_name(name, "model.onnx") and name.startswith("."))


def child_views(data: bytes) -> None:
    """What a child says of the views of a model: names that can be printed, each once."""
    with suppress(ValueError, RecursionError, SuspectDiedError):
        names = names_of(Disowning(), json.loads(data))
        assert all(name.isprintable() for name in names)
        assert len(set(names)) == len(names) <= MAX_VIEWS


def onnx_skeleton(data: bytes) -> None:
    """A model without its large weights: as harmless as it was, and they lie within its bytes."""
    with suppress(CannotRunError):
        before = require_harmless(data, "x")
        after = require_harmless(skeleton_of(data), "x")
        inside = [place for place in after.places if place.external.file == THIS_FILE]
        assert len(after.places) == len(before.places) + len(inside)
        for place in inside:
            assert place.external.offset + (place.external.length or 0) <= len(data)


def child_header(data: bytes) -> None:
    """What a child says of a model's header: text that can be printed, and not much of it."""
    with suppress(ValueError, RecursionError, SuspectDiedError):
        said = json.loads(data)
        header = header_of(Disowning(), said, said[-1] if isinstance(said, list) and said else said)
        assert all(word.isprintable() for word in (header.producer, *header.opsets))
        assert sum(map(len, header.opsets)) < 2**16


def secret(data: bytes) -> None:
    """What may be handed to a model as weights is no text, in whole or behind a byte order mark."""
    kind = kind_of_secret(data)
    assert kind is None or kind.isprintable()
    if data and data.isascii() and data.decode().replace("\n", "").isprintable():
        assert kind is not None
    if any(begin in data[:HEAD_BYTES] for begin in PEM_BEGINS):
        assert kind is not None


def model_address(data: bytes) -> None:
    """An address, and a proxy's: one host, no password, none of it repeated."""
    text = data.decode("utf-8", "replace")
    with suppress(UsageError):
        address = checked_address(text, "x")
        assert address.scheme in ("http", "https")
        assert "@" not in address.netloc
        is_this_machine(str(address.hostname))
    with suppress(UsageError):
        proxy = _parsed_proxy(text, "host")
        assert proxy.scheme == "http"
        assert proxy.hostname


def outputs_of_models(data: bytes) -> None:
    """Two arrays: a byte for type and rank, then its shape, and what fills it."""
    n, joined, texts = 4, Joined(4, 3), Texts()
    values: list[tuple[str, NDArray[Any] | None]] = []
    for name, part in (("y", data[: len(data) // 2]), ("z", data[len(data) // 2 :])):
        head, shape = (part[0] if part else 0), tuple(byte % 13 for byte in part[1:5])
        dtype = np.dtype(NUMBERS[head % len(NUMBERS)])
        shape = shape[: head // 16 % 5]
        count = int(np.prod(shape))
        filler = (part[5:] or b"\0") * (count * dtype.itemsize // max(1, len(part) - 5) + 1)
        array = np.frombuffer(filler[: count * dtype.itemsize], dtype).reshape(shape)
        values.append((name, texts.numbered(array.astype("S")) if head > 250 else array))
    joined.add(values, n, n)
    for predictions in found_in(joined.tables(), n, 3).predictions.values():
        assert len(predictions) == n
        assert np.isfinite(predictions.scores).all()


class Disowning:
    """In the place of a sandbox: whose child said nonsense."""

    def disown(self, what: str) -> SuspectDiedError:
        return SuspectDiedError(what)


def table(data: bytes) -> None:
    with suppress(UsageError, MemoryError):
        assert read_table(_file(data), "table").ndim == 2


def picture(data: bytes) -> None:
    with suppress(CannotRunError):
        read_picture(_file(data), "picture", lambda image: image.convert("RGB"))


def attack_results(data: bytes) -> None:
    with suppress(IntegrityError, UsageError, CannotRunError):
        Results.load(_file(data), {})


def child_message(data: bytes) -> None:
    """Split into header and body at the first byte's word."""
    cut = 1 + (data[0] if data else 0)
    with suppress(wire.WireError):
        message = wire.decode(data[1:cut], data[cut:])
        assert sum(array.nbytes for array in message.arrays if array is not None) == len(data[cut:])


def _file(data: bytes) -> Path:
    os.ftruncate(MEMORY, 0)
    os.pwrite(MEMORY, data, 0)
    return IN_MEMORY


TARGETS: dict[str, Callable[[bytes], None]] = {
    target.__name__: target
    for target in (
        *(canonical_json, dsse, claim, claim_payload, evidence, evidence_payload, timestamp),
        *(encoding, key, npz, safetensors, checkpoint, onnx_walk, child_message),
        *(onnx_weights, model_header, child_ports, table, picture, attack_results),
        *(ort_walk, served_ports, served_answer, child_files, child_header, secret),
        *(release, release_payload, ledger, ledger_payload, model_address, outputs_of_models),
        *(child_views, onnx_skeleton),
    )
}
