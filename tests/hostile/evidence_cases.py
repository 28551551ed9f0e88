"""Evidences that were changed, or spliced with another file, claim or signature.

The first are what anybody can do to the file; the later ones carry a good signature, since an owner
may sign what he likes.
"""

import base64
import json
import os
from typing import Any

from altered_evidence import check, file, honest, owner, predicate, statement
from cases import Attack, Scene, collector
from support import onnx_models
from support.evidence_files import signed, statement_of

from wmx import OwnerKey, Watermark
from wmx.protocol.dsse import Envelope
from wmx.protocol.statement import PAYLOAD_TYPE
from wmx.verification.evidence import MAX_EVIDENCE_BYTES

CASES, case = collector()


# what anybody can do


@case(3, "not JSON in the canonical form")
def an_evidence_of_noise(scene: Scene) -> Attack:
    return check(scene, b"{\x00\xff" * 100)


@case(3, "not JSON in the canonical form")
def an_empty_evidence(scene: Scene) -> Attack:
    return check(scene, b"")


@case(3, "deeper than 64")
def an_evidence_a_million_brackets_deep(scene: Scene) -> Attack:
    return check(scene, b'{"payload":' * 1_000_000)


@case(3, "not JSON in the canonical form")
def an_evidence_with_a_number_of_a_million_digits(scene: Scene) -> Attack:
    return check(scene, b'{"payload":' + b"9" * 1_000_000 + b"}")


@case(3, "holds more than 8,000,000 values")
def an_evidence_that_would_fill_the_memory(scene: Scene) -> Attack:
    return check(scene, b'{"payload":[' + b"[]," * 5_000_000 + b"[]]}")


@case(3, "payload of evidence bad.json holds more than 8,000,000 values")
def a_signed_payload_that_would_fill_the_memory(scene: Scene) -> Attack:
    bomb = b"[" + b"[]," * 5_000_000 + b"[]]"
    return check(scene, Envelope.seal(PAYLOAD_TYPE, bomb, owner(scene)).to_bytes())


@case(3, "not JSON in the canonical form")
def an_evidence_with_nan(scene: Scene) -> Attack:
    return check(scene, b'{"payload":NaN}')


@case(3, "not JSON in the canonical form")
def an_evidence_with_a_float(scene: Scene) -> Attack:
    return check(scene, b'{"payload":1e3}')


@case(3, "not JSON in the canonical form")
def an_evidence_in_another_encoding(scene: Scene) -> Attack:
    return check(scene, honest(scene).to_bytes().decode().encode("utf-16"))


@case(3, "not in the canonical form")
def an_evidence_with_a_name_twice(scene: Scene) -> Attack:
    return check(scene, b'{"payload":"",' + honest(scene).to_bytes()[1:])


@case(3, "not in the canonical form")
def an_evidence_with_a_line_end(scene: Scene) -> Attack:
    return check(scene, honest(scene).to_bytes() + b"\n")


@case(3, "not JSON in the canonical form")
def half_an_evidence(scene: Scene) -> Attack:
    data = honest(scene).to_bytes()
    return check(scene, data[: len(data) // 2])


@case(3, "not a DSSE envelope")
def an_evidence_that_is_a_string(scene: Scene) -> Attack:
    return check(scene, b'"evidence"')


@case(3, "not a DSSE envelope")
def an_evidence_signed_twice(scene: Scene) -> Attack:
    return file(scene, lambda d: d.update(signatures=d["signatures"] * 2))


@case(3, "not a DSSE envelope")
def an_evidence_with_an_unsigned_field(scene: Scene) -> Attack:
    return file(scene, lambda document: document.update(verified=True))


@case(3, "not a DSSE envelope")
def an_evidence_whose_base64_has_spaces(scene: Scene) -> Attack:
    return file(scene, lambda d: d.update(payload=d["payload"][:40] + " " + d["payload"][40:]))


@case(3, "not a DSSE envelope")
def an_evidence_whose_base64_lacks_its_padding(scene: Scene) -> Attack:
    return file(scene, lambda d: d["signatures"][0].update(sig=d["signatures"][0]["sig"][:-2]))


@case(3, "expected 'application/vnd.in-toto+json'")
def an_evidence_of_another_payload_type(scene: Scene) -> Attack:
    return file(scene, lambda document: document.update(payloadType="application/json"))


@case(3, "is a claim, expected an evidence file")
def a_claim_as_an_evidence(scene: Scene) -> Attack:
    return check(scene, scene.watermark.claim.to_bytes())


@case(3, "the signature of")
def an_evidence_signed_by_a_thief(scene: Scene) -> Attack:
    return check(scene, signed(statement_of(honest(scene)), OwnerKey.generate()))


@case(3, "the signature of")
def an_evidence_with_more_hits_than_were_signed(scene: Scene) -> Attack:
    def change(document: dict[str, Any]) -> None:
        inner = base64.b64decode(document["payload"]).replace(b'"hits":43', b'"hits":44')
        document["payload"] = base64.b64encode(inner).decode()

    return file(scene, change)


@case(3, "the signature of")
def the_payload_of_one_evidence_and_the_signature_of_another(scene: Scene) -> Attack:
    other = json.loads(honest(scene, count=5).to_bytes())
    return file(scene, lambda document: document.update(signatures=other["signatures"]))


@case(4, "larger than")
def an_evidence_beyond_256_megabytes(scene: Scene) -> Attack:
    attack = check(scene, b"{")
    with open("bad.json", "r+b") as sparse:
        sparse.truncate(MAX_EVIDENCE_BYTES + 1)  # it takes no room
    return attack


@case(4, "not a regular file")
def an_evidence_from_a_pipe(scene: Scene) -> Attack:
    os.mkfifo("pipe")
    return ["check", "pipe"]


@case(3, "is about another file than model.onnx")
def an_evidence_about_another_model(scene: Scene) -> Attack:
    return check(scene, honest(scene).to_bytes(), onnx_models.linear(scene.watermark, seed=1))


@case(3, "the evidence file is about the claim")
def an_evidence_and_a_claim_that_was_published_by_another(scene: Scene) -> Attack:
    other = Watermark.new(OwnerKey.generate(), shape=(8, 8, 1), classes=10)
    published = scene.put("published.json", other.claim.to_bytes())
    return [*check(scene, honest(scene).to_bytes()), "--claim", published]


# a statement of another form, well signed


@case(3, "deeper than 64")
def a_signed_payload_a_million_brackets_deep(scene: Scene) -> Attack:
    sealed = Envelope.seal(PAYLOAD_TYPE, b"[" * 1_000_000, owner(scene))
    return check(scene, sealed.to_bytes())


@case(3, "malformed field")
def a_statement_that_is_a_list(scene: Scene) -> Attack:
    return check(scene, signed([], owner(scene)))


@case(3, "does not know")
def a_statement_of_another_version(scene: Scene) -> Attack:
    return statement(scene, lambda d: d.update(_type="https://in-toto.io/Statement/v0.1"))


@case(3, "does not know")
def a_predicate_of_another_type(scene: Scene) -> Attack:
    return statement(scene, lambda d: d.update(predicateType="https://slsa.dev/provenance/v1"))


@case(3, "does not know")
def an_evidence_of_a_scheme_of_the_future(scene: Scene) -> Attack:
    return predicate(scene, lambda p: p.update(scheme="wmx-9"))


@case(3, "the subject is no list of 1 to 1001 files")
def an_evidence_about_no_file(scene: Scene) -> Attack:
    return statement(scene, lambda document: document.update(subject=[]))


@case(3, "a file occurs twice among the subjects")
def an_evidence_about_a_file_twice(scene: Scene) -> Attack:
    def change(document: dict[str, Any]) -> None:
        document["subject"].append(document["subject"][0] | {"digest": {"sha256": "bb" * 32}})

    return statement(scene, change)


@case(3, "with other weights beside model.onnx: weights.bin differ")
def an_evidence_about_weights_that_are_not_there(scene: Scene) -> Attack:
    document = statement_of(honest(scene))
    document["subject"].append({"digest": {"sha256": "bb" * 32}, "name": "weights.bin"})
    return check(scene, signed(document, owner(scene)), scene.model)


@case(3, "a subject's name is no file name")
def an_evidence_about_a_file_in_another_folder(scene: Scene) -> Attack:
    return statement(scene, lambda d: d["subject"][0].update(name="../model.onnx"))


@case(3, "a subject's name is no file name")
def an_evidence_about_a_name_without_end(scene: Scene) -> Attack:
    return statement(scene, lambda d: d["subject"][0].update(name="model.onnx is mine. " * 20))


@case(3, "a subject's digest is not exactly one SHA-256")
def an_evidence_about_two_digests(scene: Scene) -> Attack:
    return statement(scene, lambda d: d["subject"][0]["digest"].update(sha512="bb" * 64))


@case(3, "states True hits")
def an_evidence_that_counts_in_truth_values(scene: Scene) -> Attack:
    return predicate(scene, lambda p: p["counted"].update(hits=True))


@case(3, "malformed field")
def an_evidence_about_a_name_alone(scene: Scene) -> Attack:
    return statement(scene, lambda d: d["subject"][0].update(digest="the model"))


@case(3, "a subject's digest is not exactly one SHA-256")
def an_evidence_about_a_broken_digest(scene: Scene) -> Attack:
    return statement(scene, lambda d: d["subject"][0].update(digest={"sha1": "aa" * 20}))


@case(3, "a subject's name is no file name")
def an_evidence_about_a_name_that_writes_over_the_verdict(scene: Scene) -> Attack:
    return statement(scene, lambda d: d["subject"][0].update(name="\x1b[9A\x1b[2JVERIFIED\n"))


@case(3, "lacks the field 'window'")
def an_evidence_without_a_trigger_slice(scene: Scene) -> Attack:
    return predicate(scene, lambda p: p.pop("window"))


@case(3, "lacks the field 'openings'")
def an_evidence_whose_openings_are_renamed(scene: Scene) -> Attack:
    return predicate(scene, lambda p: p.update(opening=p.pop("openings")))


@case(3, "lacks the field 'counted'")
def an_evidence_that_states_nothing(scene: Scene) -> Attack:
    return predicate(scene, lambda p: p.pop("counted"))


@case(3, "malformed field")
def an_evidence_from_before_everybody_else(scene: Scene) -> Attack:
    return predicate(scene, lambda p: p.update(created="0000"))


@case(3, "malformed field")
def an_evidence_run_by_a_number(scene: Scene) -> Attack:
    return predicate(scene, lambda p: p["run"].update(engine=7))


@case(3, "malformed field")
def an_evidence_that_asks_for_infinity(scene: Scene) -> Attack:
    return predicate(scene, lambda p: p.update(required_bits="inf"))


@case(3, "malformed field")
def an_evidence_that_asks_for_a_number_with_two_points(scene: Scene) -> Attack:
    return predicate(scene, lambda p: p.update(required_bits="5.0.0"))


# a claim that does not belong to it


@case(3, "names another claim")
def an_evidence_with_another_claim_of_its_owner(scene: Scene) -> Attack:
    other = Watermark.new(owner(scene), shape=(8, 8, 1), classes=10).claim
    return predicate(scene, lambda p: p["claim"].update(file=other.to_json()))


@case(3, "trigger 0 is not the one")
def the_openings_of_one_claim_under_another(scene: Scene) -> Attack:
    other = Watermark.new(owner(scene), shape=(8, 8, 1), classes=10).claim
    claim = {"file": other.to_json(), "digest": {"sha256": other.digest}}
    return predicate(scene, lambda p: p.update(claim=claim))


@case(3, "a timestamp of claim in evidence bad.json is damaged")
def an_evidence_with_a_forged_date(scene: Scene) -> Attack:
    stamp = {"response": "AAAA", "sha256": "00" * 32}
    return predicate(scene, lambda p: p["claim"]["file"].update(timestamps=[stamp]))


@case(3, "claim in evidence bad.json is not a DSSE envelope")
def an_evidence_with_a_name_for_a_claim(scene: Scene) -> Attack:
    return predicate(scene, lambda p: p["claim"].update(file="claim.json"))
