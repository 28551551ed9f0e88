"""Claims that were changed, spliced, or made to lie."""

import base64
import hmac
import json
from collections.abc import Callable
from typing import Any

from cases import Attack, Scene, collector
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from wmx import OwnerKey, Watermark
from wmx.protocol import jcs
from wmx.protocol.claim import PAYLOAD_TYPE
from wmx.protocol.dsse import Envelope
from wmx.protocol.encoding import encode_base64

CASES, case = collector()


def verify(scene: Scene, claim: bytes | str) -> list[str]:
    """Put a claim into the scene and return the command that believes it."""
    scene.put("model.onnx", scene.model)
    return ["verify", "model.onnx", "--claim", scene.put("bad.json", claim), "--key", "owner.pem"]


def envelope(scene: Scene, change: Callable[[dict[str, Any]], None]) -> list[str]:
    """Verify the honest claim's file with a change that nobody signed."""
    document = json.loads((scene.folder / "claim.json").read_bytes())
    change(document)
    return verify(scene, jcs.dumps(document))


def payload(scene: Scene, change: Callable[[dict[str, Any]], None]) -> list[str]:
    """Verify the honest claim with a change that its owner has signed."""
    document = json.loads(scene.watermark.claim.envelope.payload)
    change(document)
    key = OwnerKey.load(scene.folder / "owner.pem")
    signed = Envelope.seal(PAYLOAD_TYPE, jcs.dumps(document), key)
    return verify(scene, signed.to_bytes())


def family(scene: Scene, description: Any, key: OwnerKey | None = None) -> list[str]:
    """Verify the honest claim with another trigger family, encrypted and signed by its owner."""
    key = key or OwnerKey.load(scene.folder / "owner.pem")
    sealing_key = key.family_key(scene.watermark.claim.salt)
    text = jcs.dumps(description)
    padded = (len(text).to_bytes(4, "big") + text).ljust(256, b"\0")
    nonce = hmac.digest(sealing_key[32:], padded, "sha256")[:12]
    sealed = nonce + ChaCha20Poly1305(sealing_key[:32]).encrypt(nonce, padded, None)
    return payload(scene, lambda document: document.update(family=encode_base64(sealed)))


@case(3, "not JSON in the canonical form")
def no_json(scene: Scene) -> Attack:
    return verify(scene, b"\x00\xff" * 100)


@case(3, "deeper than 64")
def brackets_a_million_deep(scene: Scene) -> Attack:
    return verify(scene, b"[" * 1_000_000)


@case(3, "not JSON in the canonical form")
def a_number_of_a_million_digits(scene: Scene) -> Attack:
    return verify(scene, b'{"n":' + b"9" * 1_000_000 + b"}")


@case(3, "not JSON in the canonical form")
def nan_in_json(scene: Scene) -> Attack:
    return verify(scene, b'{"payload":NaN}')


@case(3, "not JSON in the canonical form")
def half_a_surrogate(scene: Scene) -> Attack:
    return verify(scene, b'{"payload":"\\ud800"}')


@case(3, "not in the canonical form")
def a_name_twice(scene: Scene) -> Attack:
    honest = (scene.folder / "claim.json").read_bytes()
    return verify(scene, b'{"payload":"",' + honest[1:])


@case(3, "not in the canonical form")
def one_blank_more(scene: Scene) -> Attack:
    return verify(scene, (scene.folder / "claim.json").read_bytes() + b"\n")


@case(3, "not a DSSE envelope")
def a_list(scene: Scene) -> Attack:
    return verify(scene, b"[]")


@case(3, "not a DSSE envelope")
def no_signature(scene: Scene) -> Attack:
    return envelope(scene, lambda document: document.update(signatures=[]))


@case(3, "not a DSSE envelope")
def two_signatures(scene: Scene) -> Attack:
    return envelope(scene, lambda d: d.update(signatures=d["signatures"] * 2))


@case(3, "not a DSSE envelope")
def an_unsigned_field(scene: Scene) -> Attack:
    return envelope(scene, lambda document: document.update(verified=True))


@case(3, "not a DSSE envelope")
def base64_in_another_spelling(scene: Scene) -> Attack:
    return envelope(scene, lambda d: d["signatures"][0].update(sig=d["signatures"][0]["sig"][:-2]))


@case(3, "expected 'application/vnd.wmx.claim+json'")
def another_payload_type(scene: Scene) -> Attack:
    return envelope(scene, lambda document: document.update(payloadType="text/plain"))


@case(3, "the signature of")
def the_signature_of_a_thief(scene: Scene) -> Attack:
    claim = scene.watermark.claim
    forged = Envelope.seal(PAYLOAD_TYPE, claim.envelope.payload, OwnerKey.generate())
    return verify(scene, forged.to_bytes())


@case(3, "the signature of")
def a_field_changed_without_signing(scene: Scene) -> Attack:
    def change(document: dict[str, Any]) -> None:
        inner = base64.b64decode(document["payload"]).replace(b'"note":""', b'"note":"x"')
        document["payload"] = base64.b64encode(inner).decode()

    return envelope(scene, change)


@case(3, "the signature of")
def a_key_under_which_everything_is_signed(scene: Scene) -> Attack:
    return payload(scene, lambda document: document.update(owner="01" + "00" * 31))


@case(3, "was made with another owner key")
def the_claim_of_another_owner(scene: Scene) -> Attack:
    other = Watermark.new(OwnerKey.generate(), shape=(8, 8, 1), classes=10)
    return verify(scene, other.claim.to_bytes())


@case(3, "is of scheme 'wmx-9'")
def a_scheme_of_the_future(scene: Scene) -> Attack:
    return payload(scene, lambda document: document.update(scheme="wmx-9"))


@case(3, "lacks the field 'root'")
def no_root(scene: Scene) -> Attack:
    return payload(scene, lambda document: document.pop("root"))


@case(3, "not those the claim commits to")
def another_root(scene: Scene) -> Attack:
    return payload(scene, lambda document: document.update(root="11" * 32))


@case(3, "not encrypted under this owner key")
def another_salt(scene: Scene) -> Attack:
    return payload(scene, lambda document: document.update(salt="11" * 32))


@case(3, "not those the claim commits to")
def half_of_the_triggers(scene: Scene) -> Attack:
    return payload(scene, lambda document: document.update(n=50))


@case(3, "n is 0")
def no_triggers(scene: Scene) -> Attack:
    return payload(scene, lambda document: document.update(n=0))


@case(3, "n is 1000000000000")
def a_trillion_triggers(scene: Scene) -> Attack:
    return payload(scene, lambda document: document.update(n=10**12))


@case(3, "malformed field")
def truth_as_a_number(scene: Scene) -> Attack:
    return payload(scene, lambda document: document.update(n=True))


@case(3, "malformed field")
def one_class(scene: Scene) -> Attack:
    return payload(scene, lambda document: document["task"].update(classes=1))


@case(3, "malformed field")
def an_image_of_2_to_60_pixels(scene: Scene) -> Attack:
    return payload(scene, lambda document: document["task"].update(shape=[2**30, 2**30, 1]))


@case(3, "malformed field")
def a_division_by_zero(scene: Scene) -> Attack:
    return payload(scene, lambda document: document["task"].update(std=["0"]))


@case(3, "malformed field")
def a_mean_with_two_points(scene: Scene) -> Attack:
    return payload(scene, lambda document: document["task"].update(mean=["5.0.0"]))


@case(3, "generator")
def a_family_that_does_not_exist(scene: Scene) -> Attack:
    return family(scene, {"name": "os.system"})


@case(3, "generator is malformed")
def a_family_without_a_name(scene: Scene) -> Attack:
    return family(scene, {})


@case(3, "generator is malformed")
def a_family_that_is_a_list(scene: Scene) -> Attack:
    return family(scene, ["cells"])


@case(3, "generator is malformed")
def a_family_whose_name_is_an_object(scene: Scene) -> Attack:
    return family(scene, {"name": {}})


@case(3, "grid is 0")
def cells_of_no_size(scene: Scene) -> Attack:
    return family(scene, {"name": "cells", "grid": 0})


@case(3, "generator is malformed")
def quantiles_that_are_sentences(scene: Scene) -> Attack:
    return family(scene, {"name": "features", "quantiles": ["12", "34"]})


@case(3, "generator is malformed")
def quantiles_with_two_points(scene: Scene) -> Attack:
    return family(scene, {"name": "features", "quantiles": [["5.0.0", "6"]]})


@case(3, "generator is malformed")
def a_family_that_says_more(scene: Scene) -> Attack:
    return family(scene, {"name": "cells", "grid": 7, "more": 1})


@case(3, "not encrypted under this owner key")
def a_family_under_another_key(scene: Scene) -> Attack:
    return family(scene, {"name": "cells", "grid": 7}, OwnerKey.generate())


@case(3, "malformed field")
def a_family_in_plain_text(scene: Scene) -> Attack:
    return payload(scene, lambda document: document.update(family={"name": "cells", "grid": 7}))


@case(3, "malformed field")
def a_family_of_no_length(scene: Scene) -> Attack:
    return payload(scene, lambda document: document.update(family=""))


@case(3, "malformed field")
def a_date_that_is_a_sentence(scene: Scene) -> Attack:
    return payload(scene, lambda document: document.update(created="before everybody else"))


@case(4, "larger than")
def a_claim_of_65_megabytes(scene: Scene) -> Attack:
    attack = verify(scene, b"{")
    with open("bad.json", "r+b") as file:
        file.truncate(65 * 2**20)  # sparse: it takes no room
    return attack


@case(2, "own images")
def a_claim_over_images_that_were_not_given(scene: Scene) -> Attack:
    return family(scene, {"name": "folder"})
