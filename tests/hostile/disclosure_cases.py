"""Evidences whose owner signed more than he has: openings, answers and numbers he made up."""

import base64
from typing import Any

import numpy as np
from altered_evidence import ENOUGH, check, honest, opening, predicate, predictions, recounted
from cases import Attack, Scene, collector
from support import onnx_models

CASES, case = collector()


# openings


@case(3, "trigger 0 is not the one")
def openings_in_another_order(scene: Scene) -> Attack:
    return predicate(scene, lambda p: p["openings"].reverse())


@case(3, "trigger 1 is not the one")
def one_opening_for_all(scene: Scene) -> Attack:
    return predicate(scene, lambda p: p.update(openings=p["openings"][:1] * ENOUGH))


@case(3, "expected as many openings")
def an_opening_too_few(scene: Scene) -> Attack:
    return predicate(scene, lambda p: p["openings"].pop())


@case(3, "trigger 7 is not the one")
def a_gap_among_the_openings(scene: Scene) -> Attack:
    def change(p: dict[str, Any]) -> None:
        del p["openings"][7]
        p["window"]["count"] -= 1

    return predicate(scene, change)


@case(3, "the window is 43 triggers from -1")
def a_trigger_slice_that_starts_before_the_first(scene: Scene) -> Attack:
    return predicate(scene, lambda p: p["window"].update(start=-1))


@case(3, "the window is 43 triggers from 58")
def a_trigger_slice_that_goes_round_the_end(scene: Scene) -> Attack:
    return predicate(scene, lambda p: p["window"].update(start=58))


@case(3, "the window is 0 triggers")
def a_trigger_slice_of_nothing(scene: Scene) -> Attack:
    return predicate(scene, lambda p: p.update(window={"count": 0, "start": 0}, openings=[]))


@case(3, "the window is 9007199254740991 triggers")
def a_trigger_slice_of_more_than_there_are(scene: Scene) -> Attack:
    return predicate(scene, lambda p: p["window"].update(count=2**53 - 1))


@case(3, "are not integers")
def a_trigger_slice_that_starts_at_true(scene: Scene) -> Attack:
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
def predictions_of_a_shape_beyond_all_memory(scene: Scene) -> Attack:
    return predictions(scene, dtype="float64", shape=[ENOUGH, 2**53 - 1], data="")


@case(3, "the shape of the answers")
def predictions_of_a_negative_shape(scene: Scene) -> Attack:
    return predictions(scene, dtype="float32", shape=[ENOUGH, -1])


@case(3, "the shape of the answers")
def predictions_without_a_column(scene: Scene) -> Attack:
    return predictions(scene, dtype="float32", shape=[ENOUGH, 0], data="")


@case(3, "answers of shape")
def predictions_of_a_thousand_axes(scene: Scene) -> Attack:
    return predictions(scene, dtype="float32", shape=[ENOUGH] + [1] * 1000)


@case(3, "answers of shape")
def predictions_to_more_triggers(scene: Scene) -> Attack:
    rows = ENOUGH + 1
    return predictions(scene, shape=[rows], data=base64.b64encode(bytes(8 * rows)).decode())


@case(3, "states")
def predictions_to_fewer_triggers(scene: Scene) -> Attack:
    rows = ENOUGH - 1
    return predictions(scene, shape=[rows], data=base64.b64encode(bytes(8 * rows)).decode())


@case(3, "malformed field")
def predictions_with_fewer_bytes_than_numbers(scene: Scene) -> Attack:
    return predictions(scene, data=base64.b64encode(bytes(8)).decode())


@case(3, "answers of 'object'")
def predictions_that_are_pickled(scene: Scene) -> Attack:
    return predictions(scene, dtype="object")


@case(3, "answers of 'float16'")
def predictions_of_a_dtype_that_is_not_written(scene: Scene) -> Attack:
    return predictions(scene, dtype="float16", shape=[ENOUGH, 10])


@case(3, "states 43 hits")
def predictions_that_miss_under_numbers_that_hit(scene: Scene) -> Attack:
    return predictions(scene, data=base64.b64encode(bytes(8 * ENOUGH)).decode())


def scores(scene: Scene, array: Any) -> list[str]:
    """Check well counted answers that are nothing but these scores or class numbers."""
    big = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder(">"))
    given = {
        "data": base64.b64encode(big.tobytes()).decode(),
        "dtype": array.dtype.name,
        "shape": list(array.shape),
    }
    return recounted(scene, lambda p: p.update(answers=given))


@case(1, "NOT VERIFIED")
def predictions_that_are_not_numbers(scene: Scene) -> Attack:
    return scores(scene, np.full((ENOUGH, 10), np.nan, np.float32))


@case(1, "NOT VERIFIED")
def predictions_that_are_infinite_for_every_class(scene: Scene) -> Attack:
    return scores(scene, np.full((ENOUGH, 10), np.inf))


@case(1, "NOT VERIFIED")
def predictions_without_end_on_both_sides(scene: Scene) -> Attack:
    return scores(scene, np.tile([np.inf, -np.inf], (ENOUGH, 5)))


@case(1, "NOT VERIFIED")
def predictions_with_ten_thousand_columns(scene: Scene) -> Attack:
    return scores(scene, np.ones((ENOUGH, 10_000), np.float32))


@case(1, "NOT VERIFIED")
def predictions_of_one_column(scene: Scene) -> Attack:
    return scores(scene, np.ones((ENOUGH, 1), np.float32))


@case(1, "NOT VERIFIED")
def classes_that_do_not_exist(scene: Scene) -> Attack:
    return scores(scene, np.full(ENOUGH, -(2**63), np.int64))


@case(3, "malformed field")
def no_probe_at_all(scene: Scene) -> Attack:
    return predicate(scene, lambda p: p.update(way=None))


@case(3, "malformed field")
def several_probes(scene: Scene) -> Attack:
    return predicate(scene, lambda p: p.update(way=[p["way"]] * 2))


@case(3, "probes_tried is 0")
def no_probe_tried_at_all(scene: Scene) -> Attack:
    return predicate(scene, lambda p: p.update(probes_tried=0))


@case(3, "probes_tried is 9007199254740991")
def more_probes_than_there_can_be(scene: Scene) -> Attack:
    return predicate(scene, lambda p: p.update(probes_tried=2**53 - 1))


@case(3, "states 43 hits")
def a_hundred_probes_tried_and_not_paid_for(scene: Scene) -> Attack:
    return predicate(scene, lambda p: p.update(probes_tried=100))


@case(3, "the way has 3 rows in a call")
def a_probe_with_rows_that_are_not_tried(scene: Scene) -> Attack:
    return predicate(scene, lambda p: p["way"].update(rows=3))


@case(3, "the way has the shift [3, 0]")
def a_probe_with_a_shift_that_is_not_tried(scene: Scene) -> Attack:
    return predicate(scene, lambda p: p["way"].update(shift=[3, 0]))


@case(3, "the way has the shift [0, 0, 0]")
def a_probe_shifted_in_three_directions(scene: Scene) -> Attack:
    return predicate(scene, lambda p: p["way"].update(shift=[0, 0, 0]))


@case(3, "states 43 hits")
def a_shifted_probe_with_the_share_of_a_plain_one(scene: Scene) -> Attack:
    return predicate(scene, lambda p: p["way"].update(shift=[1, 0]))


@case(3, "layout, output, scaling and view of the way are not strings")
def a_probe_that_is_an_object(scene: Scene) -> Attack:
    return predicate(scene, lambda p: p["way"].update(layout={"NCHW": 1}))


# numbers that say more than there is


@case(3, "states 43 hits and 999.000000 bits")
def more_bits_than_the_predictions_give(scene: Scene) -> Attack:
    return predicate(scene, lambda p: p["counted"].update(bits="999.000000"))


@case(3, "expected a number with six decimals")
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
def predictions_made_up_and_no_model(scene: Scene) -> Attack:
    return check(scene, honest(scene, model=b"a model that nobody has").to_bytes())


@case(1, "NOT VERIFIED")
def predictions_made_up_for_a_model(scene: Scene) -> Attack:
    model = onnx_models.linear(scene.watermark, seed=1)
    return check(scene, honest(scene, model=model).to_bytes(), model)


@case(4, "damaged ONNX file")
def an_evidence_about_a_file_that_is_no_model(scene: Scene) -> Attack:
    model = b"\x08\x07" + bytes(64)
    return check(scene, honest(scene, model=model).to_bytes(), model)
