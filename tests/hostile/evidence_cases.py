"""Evidences that were changed, spliced, or signed by an owner who wants more than he has.

The first are what anybody can do to the file; the later ones carry a good signature, since an owner
may sign what he likes.
"""

import base64
import hashlib
import json
import os
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx_models
from cases import Attack, Scene, collector
from evidence_files import restated, signed, small_evidence, statement_of

from wmx import OwnerKey, Watermark, canonical
from wmx.dsse import Envelope
from wmx.evidence import MAX_EVIDENCE_BYTES, PAYLOAD_TYPE, Evidence

CASES, case = collector()
ENOUGH = 43  # triggers for 128 bits with 10 classes
Change = Callable[[dict[str, Any]], object]


def owner(scene: Scene) -> OwnerKey:
    return OwnerKey.load(scene.folder / "owner.pem")


def honest(scene: Scene, *, count: int = ENOUGH, model: bytes | None = None) -> Evidence:
    """An evidence that ``wmx check`` would take, if its answers are the model's."""
    digest = hashlib.sha256(model or scene.model).hexdigest()
    return small_evidence(owner(scene), scene.watermark, count=count, suspect=digest)


def check(scene: Scene, evidence: bytes | str, model: bytes | None = None) -> list[str]:
    """Put an evidence into the scene, and return the command that a third party gives."""
    words = ["check", scene.put("bad.json", evidence)]
    return words if model is None else [*words, "--model", scene.put("model.onnx", model)]


def file(scene: Scene, change: Change) -> list[str]:
    """Check an honest evidence's file with a change that nobody signed."""
    document = json.loads(honest(scene).to_bytes())
    change(document)
    return check(scene, canonical.dumps(document))


def statement(scene: Scene, change: Change) -> list[str]:
    """Check a statement with a change that its owner has signed."""
    document = statement_of(honest(scene))
    change(document)
    return check(scene, signed(document, owner(scene)))


def predicate(scene: Scene, change: Change) -> list[str]:
    """As :func:`statement`, with a change of the predicate."""
    return statement(scene, lambda document: change(document["predicate"]))


def opening(scene: Scene, **fields: Any) -> list[str]:
    """Check a signed statement whose first opening has other fields."""
    return predicate(scene, lambda p: p["openings"][0].update(fields))


def answers(scene: Scene, **fields: Any) -> list[str]:
    """Check a signed statement whose answers have other fields."""
    return predicate(scene, lambda p: p["ways"][0]["answers"].update(fields))


def recounted(scene: Scene, change: Change, model: bytes | None = None) -> list[str]:
    """Check a changed predicate whose numbers its owner has made to fit again, and signed."""
    document = statement_of(honest(scene, model=model))
    change(document["predicate"])
    return check(scene, restated(document, owner(scene)), model)


# what anybody can do


@case(3, "not JSON in the canonical form")
def an_evidence_of_noise(scene: Scene) -> Attack:
    return check(scene, b"{\x00\xff" * 100)


@case(3, "not JSON in the canonical form")
def an_empty_evidence(scene: Scene) -> Attack:
    return check(scene, b"")


@case(3, "not JSON in the canonical form")
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


@case(3, "lacks the field 'predicate'")
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


@case(3, "the evidence is about the claim")
def an_evidence_and_a_claim_that_was_published_by_another(scene: Scene) -> Attack:
    other = Watermark.new(OwnerKey.generate(), shape=(8, 8, 1), classes=10)
    published = scene.put("published.json", other.claim.to_bytes())
    return [*check(scene, honest(scene).to_bytes()), "--claim", published]


# a statement of another form, well signed


@case(3, "payload of evidence bad.json is not JSON")
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


@case(3, "the subject is not exactly one file")
def an_evidence_about_no_file(scene: Scene) -> Attack:
    return statement(scene, lambda document: document.update(subject=[]))


@case(3, "the subject is not exactly one file")
def an_evidence_about_two_files(scene: Scene) -> Attack:
    more = {"digest": {"sha256": "bb" * 32}, "name": "model.onnx.data"}
    return statement(scene, lambda document: document["subject"].append(more))


@case(3, "malformed field")
def an_evidence_about_a_name_alone(scene: Scene) -> Attack:
    return statement(scene, lambda d: d["subject"][0].update(digest="the model"))


@case(3, "lacks the field 'sha256'")
def an_evidence_about_a_broken_digest(scene: Scene) -> Attack:
    return statement(scene, lambda d: d["subject"][0].update(digest={"sha1": "aa" * 20}))


@case(1, "CONSISTENT, not repeated")
def an_evidence_about_a_name_that_writes_over_the_verdict(scene: Scene) -> Attack:
    return statement(scene, lambda d: d["subject"][0].update(name="\x1b[9A\x1b[2JVERIFIED\n"))


@case(3, "lacks the field 'window'")
def an_evidence_without_a_window(scene: Scene) -> Attack:
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


# openings


@case(3, "trigger 0 is not the one")
def openings_in_another_order(scene: Scene) -> Attack:
    return predicate(scene, lambda p: p["openings"].reverse())


@case(3, "trigger 1 is not the one")
def one_opening_for_all(scene: Scene) -> Attack:
    return predicate(scene, lambda p: p.update(openings=p["openings"][:1] * ENOUGH))


@case(3, "not as many")
def an_opening_too_few(scene: Scene) -> Attack:
    return predicate(scene, lambda p: p["openings"].pop())


@case(3, "trigger 7 is not the one")
def a_gap_among_the_openings(scene: Scene) -> Attack:
    def change(p: dict[str, Any]) -> None:
        del p["openings"][7]
        p["window"]["count"] -= 1

    return predicate(scene, change)


@case(3, "window of 43 triggers from -1")
def a_window_that_starts_before_the_first(scene: Scene) -> Attack:
    return predicate(scene, lambda p: p["window"].update(start=-1))


@case(3, "window of 43 triggers from 58")
def a_window_that_goes_round_the_end(scene: Scene) -> Attack:
    return predicate(scene, lambda p: p["window"].update(start=58))


@case(3, "window of 0 triggers")
def a_window_of_nothing(scene: Scene) -> Attack:
    return predicate(scene, lambda p: p.update(window={"count": 0, "start": 0}, openings=[]))


@case(3, "window of 9007199254740991 triggers")
def a_window_of_more_than_there_are(scene: Scene) -> Attack:
    return predicate(scene, lambda p: p["window"].update(count=2**53 - 1))


@case(3, "are integers")
def a_window_that_starts_at_true(scene: Scene) -> Attack:
    return predicate(scene, lambda p: p["window"].update(start=False))


@case(3, "trigger 0 is not the one")
def an_opening_with_another_blind(scene: Scene) -> Attack:
    return opening(scene, blind="00" * 32)


@case(3, "expected 64 lower-case hexadecimal digits")
def a_blind_of_31_bytes(scene: Scene) -> Attack:
    return opening(scene, blind="00" * 31)


@case(3, "trigger 0 is not the one")
def a_path_that_ends_early(scene: Scene) -> Attack:
    return predicate(scene, lambda p: p["openings"][0]["path"].pop())


@case(3, "trigger 0 is not the one")
def a_path_that_goes_beyond_the_root(scene: Scene) -> Attack:
    return predicate(scene, lambda p: p["openings"][0]["path"].append("00" * 32))


@case(3, "the path is not a list of at most 32")
def a_path_of_ten_thousand_steps(scene: Scene) -> Attack:
    return opening(scene, path=["00" * 32] * 10_000)


@case(3, "expected 64 lower-case hexadecimal digits")
def a_path_of_numbers(scene: Scene) -> Attack:
    return opening(scene, path=[0] * 7)


@case(3, "trigger 0 is not the one")
def a_trigger_chosen_after_the_fact(scene: Scene) -> Attack:
    return opening(scene, trigger=base64.b64encode(bytes(64)).decode())


@case(3, "malformed field")
def a_trigger_of_another_size(scene: Scene) -> Attack:
    return opening(scene, trigger=base64.b64encode(bytes(4096)).decode())


@case(3, "malformed field")
def a_trigger_of_no_bytes(scene: Scene) -> Attack:
    return opening(scene, trigger="")


@case(3, "malformed field")
def a_trigger_whose_base64_has_spaces(scene: Scene) -> Attack:
    return opening(scene, trigger=" " + base64.b64encode(bytes(64)).decode())


@case(3, "malformed field")
def openings_that_are_words(scene: Scene) -> Attack:
    return predicate(scene, lambda p: p.update(openings=["open"] * ENOUGH))


# answers and ways


@case(3, "malformed field")
def answers_of_a_shape_beyond_all_memory(scene: Scene) -> Attack:
    return answers(scene, dtype="float64", shape=[ENOUGH, 2**53 - 1], data="")


@case(3, "the shape of answers")
def answers_of_a_negative_shape(scene: Scene) -> Attack:
    return answers(scene, dtype="float32", shape=[ENOUGH, -1])


@case(3, "the shape of answers")
def answers_without_a_column(scene: Scene) -> Attack:
    return answers(scene, dtype="float32", shape=[ENOUGH, 0], data="")


@case(3, "answers of shape")
def answers_of_a_thousand_axes(scene: Scene) -> Attack:
    return answers(scene, dtype="float32", shape=[ENOUGH] + [1] * 1000)


@case(3, "answers of shape")
def answers_to_fewer_triggers(scene: Scene) -> Attack:
    return answers(scene, shape=[ENOUGH - 1], data=base64.b64encode(bytes(8 * 42)).decode())


@case(3, "malformed field")
def answers_with_fewer_bytes_than_numbers(scene: Scene) -> Attack:
    return answers(scene, data=base64.b64encode(bytes(8)).decode())


@case(3, "answers of 'object'")
def answers_that_are_pickled(scene: Scene) -> Attack:
    return answers(scene, dtype="object")


@case(3, "answers of 'float16'")
def answers_of_a_dtype_that_is_not_written(scene: Scene) -> Attack:
    return answers(scene, dtype="float16", shape=[ENOUGH, 10])


@case(3, "states 43 hits")
def answers_that_miss_under_numbers_that_hit(scene: Scene) -> Attack:
    return answers(scene, data=base64.b64encode(bytes(8 * ENOUGH)).decode())


def scores(scene: Scene, array: Any) -> list[str]:
    """Check well counted answers that are nothing but these scores or class numbers."""
    big = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder(">"))
    given = {
        "data": base64.b64encode(big.tobytes()).decode(),
        "dtype": array.dtype.name,
        "shape": list(array.shape),
    }
    return recounted(scene, lambda p: p["ways"][0].update(answers=given))


@case(1, "NOT VERIFIED")
def answers_that_are_not_numbers(scene: Scene) -> Attack:
    return scores(scene, np.full((ENOUGH, 10), np.nan, np.float32))


@case(1, "NOT VERIFIED")
def answers_that_are_infinite_for_every_class(scene: Scene) -> Attack:
    return scores(scene, np.full((ENOUGH, 10), np.inf))


@case(1, "NOT VERIFIED")
def answers_without_end_on_both_sides(scene: Scene) -> Attack:
    return scores(scene, np.tile([np.inf, -np.inf], (ENOUGH, 5)))


@case(1, "NOT VERIFIED")
def answers_with_ten_thousand_columns(scene: Scene) -> Attack:
    return scores(scene, np.ones((ENOUGH, 10_000), np.float32))


@case(1, "NOT VERIFIED")
def answers_of_one_column(scene: Scene) -> Attack:
    return scores(scene, np.ones((ENOUGH, 1), np.float32))


@case(1, "NOT VERIFIED")
def classes_that_do_not_exist(scene: Scene) -> Attack:
    return scores(scene, np.full(ENOUGH, -(2**63), np.int64))


@case(3, "not a list of 1 to 1024")
def no_way_at_all(scene: Scene) -> Attack:
    return predicate(scene, lambda p: p.update(ways=[]))


@case(3, "a way is there twice")
def a_way_counted_twice(scene: Scene) -> Attack:
    return predicate(scene, lambda p: p.update(ways=p["ways"] * 2))


@case(3, "not a list of 1 to 1024")
def more_ways_than_are_read(scene: Scene) -> Attack:
    return predicate(scene, lambda p: p.update(ways=p["ways"] * 1025))


@case(3, "a way with the shift [3, 0]")
def a_way_with_a_shift_that_is_not_tried(scene: Scene) -> Attack:
    return predicate(scene, lambda p: p["ways"][0].update(shift=[3, 0]))


@case(3, "a way with the shift [0, 0, 0]")
def a_way_shifted_in_three_directions(scene: Scene) -> Attack:
    return predicate(scene, lambda p: p["ways"][0].update(shift=[0, 0, 0]))


@case(3, "without the plain one")
def a_shifted_way_alone(scene: Scene) -> Attack:
    return predicate(scene, lambda p: p["ways"][0].update(shift=[1, 0]))


@case(3, "layout and output of a way are strings")
def a_way_that_is_an_object(scene: Scene) -> Attack:
    return predicate(scene, lambda p: p["ways"][0].update(layout={"NCHW": 1}))


# numbers that say more than there is


@case(3, "states 43 hits and 999 bits")
def more_bits_than_the_answers_give(scene: Scene) -> Attack:
    return predicate(scene, lambda p: p["counted"].update(bits="999"))


@case(3, "not a plain decimal number")
def infinitely_many_bits(scene: Scene) -> Attack:
    return predicate(scene, lambda p: p["counted"].update(bits="inf"))


@case(3, "states 100 hits")
def more_hits_than_triggers(scene: Scene) -> Attack:
    return predicate(scene, lambda p: p["counted"].update(hits=100))


@case(3, "states 43 hits")
def a_tail_that_is_smaller(scene: Scene) -> Attack:
    return predicate(scene, lambda p: p["counted"].update(tail=["1", "1" + "0" * 300]))


@case(3, "claims_tried is 0")
def no_claim_tried_at_all(scene: Scene) -> Attack:
    return predicate(scene, lambda p: p.update(claims_tried=0))


@case(3, "claims_tried is True")
def a_truth_for_the_claims_tried(scene: Scene) -> Attack:
    return predicate(scene, lambda p: p.update(claims_tried=True))


@case(3, "states 43 hits")
def a_thousand_claims_tried_and_not_paid_for(scene: Scene) -> Attack:
    return predicate(scene, lambda p: p.update(claims_tried=1000))


@case(1, "NOT VERIFIED")
def an_evidence_that_asks_for_less_than_the_checker(scene: Scene) -> Attack:
    return check(scene, honest(scene, count=5).to_bytes())  # its required_bits are 20


@case(1, "CONSISTENT, not repeated")
def answers_made_up_and_no_model(scene: Scene) -> Attack:
    return check(scene, honest(scene, model=b"a model that nobody has").to_bytes())


@case(1, "NOT VERIFIED")
def answers_made_up_for_a_model(scene: Scene) -> Attack:
    model = onnx_models.linear(scene.watermark, seed=1)
    return check(scene, honest(scene, model=model).to_bytes(), model)


@case(4, "damaged ONNX file")
def an_evidence_about_a_file_that_is_no_model(scene: Scene) -> Attack:
    model = b"\x08\x07" + bytes(64)
    return check(scene, honest(scene, model=model).to_bytes(), model)
