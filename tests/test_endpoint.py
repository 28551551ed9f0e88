"""Models behind an API: an honest server, and one that lies."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import onnx_models
from support.batch_gates import gated_model
from support.certificates import self_signed
from support.oip_server import Server, dripping, response, serving

import wmx
from wmx import OwnerKey, Watermark, open_suspect, verify
from wmx.errors import CannotRunError, UsageError
from wmx.protocol.model_reference import ModelReference
from wmx.suspect.endpoint.client import Client, read_token
from wmx.suspect.endpoint.endpoint import Endpoint
from wmx.suspect.endpoint.messages import HEADER_LENGTH, outputs_of
from wmx.suspect.request_policy import RequestPolicy
from wmx.suspect.values import to_bfloat16

POLICY = RequestPolicy(retries=0, seconds=60)


@pytest.fixture(scope="module")
def watermark() -> Watermark:
    return Watermark.new(OwnerKey.generate(), shape=(12, 10, 1), classes=10, mean=0.4, std=0.3)


@pytest.fixture(scope="module")
def model(watermark: Watermark) -> bytes:
    return onnx_models.knows_labels(watermark)


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("output", ["logits", "probabilities", "labels"])
def test_an_intact_mark_is_verified_and_few_inputs_are_asked(
    watermark: Watermark, binary: bool, output: str
) -> None:
    """The bar: 64 bits within 24 queries at ten classes."""
    with serving(onnx_models.knows_labels(watermark, output=output), binary=binary) as server:
        verdict = verify(Endpoint.open(server.url), watermark, min_bits=64)
    assert verdict.verified
    assert server.asked == verdict.n <= 24
    assert verdict.suspect.sha256 is None
    assert verdict.engine == "Open Inference Protocol 2, onnxruntime_onnx"


@pytest.mark.parametrize("address", ["{}", "{}/", "HTTP://{host}"])
def test_the_library_takes_an_address_where_it_takes_a_file(
    watermark: Watermark, model: bytes, address: str
) -> None:
    with serving(model) as server:
        address = address.format(server.url, host=server.url.removeprefix("http://"))
        verdict = verify(address, watermark, min_bits=64)
        assert verdict.verified
        assert verdict.suspect == ModelReference(address)
    with serving(model, token="abc") as server:
        with pytest.raises(CannotRunError, match="refused access"):
            verify(server.url, watermark)
        suspect = open_suspect(
            server.url, token="abc", request_policy=wmx.suspect.RequestPolicy(max_queries=40)
        )
        assert verify(suspect, watermark, min_bits=64).verified
        assert suspect.queries_left == 40 - verdict.n


@pytest.mark.parametrize(
    ("suspect", "options"),
    [
        ("model.onnx", {"token": "abc"}),
        (np.asarray, {"token": "abc"}),
        ("model.onnx", {"request_policy": POLICY}),
        ("https://example.org/v2/models/mine", {"own": True}),
        ("https://example.org/models/mine", {}),
        ("http://example.org/v2/models/mine", {}),
    ],
)
def test_what_is_for_another_kind_of_suspect_is_refused(suspect: Any, options: Any) -> None:
    with pytest.raises(UsageError):
        open_suspect(suspect, **options)


def test_a_server_that_says_nothing_of_the_inputs_is_asked_as_images_are_usually_given(
    watermark: Watermark, model: bytes
) -> None:
    with serving(model, silent=True) as server:
        verdict = verify(Endpoint.open(server.url, request_policy=POLICY), watermark, min_bits=64)
    assert verdict.verified
    assert verdict.best_probe.startswith("NCHW")


def test_an_unmarked_model_is_not_verified_and_the_budget_is_kept(watermark: Watermark) -> None:
    with serving(onnx_models.linear(watermark, 1)) as server:
        asked = Endpoint.open(server.url, request_policy=RequestPolicy(max_queries=500, retries=0))
        verdict = verify(asked, watermark)
        assert not verdict.verified
        assert verdict.bits < 20
        assert 100 < server.asked <= 500
        little = Endpoint.open(server.url, request_policy=RequestPolicy(max_queries=30, retries=0))
        assert verify(little, watermark).n == 30
    with serving(onnx_models.linear(watermark, 1, batch=7)) as server:
        three = Endpoint.open(server.url, request_policy=RequestPolicy(max_queries=3, retries=0))
        with pytest.raises(
            CannotRunError, match=r"allows 3 more inputs to .*, and one trigger takes 7"
        ):
            verify(three, watermark)


def test_triggers_are_asked_one_at_a_time_and_no_more_than_are_needed(
    watermark: Watermark, model: bytes
) -> None:
    """It may be looked at after each whether the bits suffice; a request more costs no input."""
    with serving(model) as server:
        enough = verify(Endpoint.open(server.url), watermark, min_bits=64)
        few = Endpoint.open(server.url, request_policy=RequestPolicy(max_queries=enough.n - 1))
        assert not verify(few, watermark, min_bits=64).verified
    assert server.asked == 2 * enough.n - 1
    assert len([path for path, _, _ in server.log if path.endswith("/infer")]) == server.asked


def test_a_function_with_a_request_policy_is_counted_as_an_address_is(
    watermark: Watermark,
) -> None:
    calls: list[int] = []

    def ask(inputs: Any) -> Any:
        calls.append(len(inputs))
        near = ((inputs[:, None] - watermark.inputs[None]) ** 2).sum(axis=(2, 3, 4)).argmin(axis=1)
        return watermark.labels[near]

    suspect = open_suspect(ask, request_policy=RequestPolicy(max_queries=60))
    verdict = verify(suspect, watermark, min_bits=64)
    assert verdict.verified
    assert calls == [1] * verdict.n
    assert verdict.queries == verdict.n <= 24
    assert suspect.queries_left == 60 - verdict.n
    few = open_suspect(ask, request_policy=RequestPolicy(max_queries=verdict.n - 1))
    assert not verify(few, watermark, min_bits=64).is_answer


@pytest.mark.parametrize(
    "gate",
    [
        "more than one row",
        "an even number of rows",
        "all rows but the last",
        "every row beside another one",
        "one row, and more than eight",
    ],
)
def test_a_server_that_answers_junk_to_some_batches_does_not_hide(
    watermark: Watermark, gate: str
) -> None:
    with serving(gated_model(watermark, gate)) as server:
        verdict = verify(Endpoint.open(server.url), watermark, min_bits=64)
    assert verdict.verified
    assert verdict.best_probe.startswith(
        "NCHW in batches of 2" if gate.startswith("one row,") else "NCHW one row at a time"
    )


@pytest.mark.parametrize("gate", [None, "all rows but the first"])
def test_a_fixed_batch_is_given_whole_batches_before_copies(
    watermark: Watermark, gate: str | None
) -> None:
    """Copies of one input cost as much as so many inputs."""
    fixed = (
        gated_model(watermark, gate, batch=7)
        if gate
        else onnx_models.knows_labels(watermark, batch=7)
    )
    with serving(fixed) as server:
        verdict = verify(Endpoint.open(server.url), watermark, min_bits=64)
    assert verdict.verified
    assert (server.asked <= 28) == (gate is None)


def test_other_scalings_and_shifts_are_asked_where_the_plain_way_is_not_enough(
    watermark: Watermark,
) -> None:
    inside = onnx_models.knows_labels(watermark)
    with serving(onnx_models.with_normalisation_inside(inside, watermark)) as server:
        verdict = verify(Endpoint.open(server.url), watermark, min_bits=64)
    assert verdict.verified
    assert "0..255" in verdict.best_probe


def lying(change: Callable[[dict[str, Any]], Any]) -> Callable[[Server, str, bytes], Any]:
    """Answer inferences with what ``change`` makes of an honest response."""

    def lie(server: Server, path: str, body: bytes) -> Any:
        if not path.endswith("/infer"):
            return None
        rows = json.loads(body)["inputs"][0]["shape"][0]
        _, _, honest = response({"y": np.zeros((rows, 10), np.float32)})
        said = change(json.loads(honest))
        return 200, {}, said if isinstance(said, bytes) else json.dumps(said).encode()

    return lie


def output(**fields: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    def change(document: dict[str, Any]) -> dict[str, Any]:
        document["outputs"][0].update(fields)
        return document

    return change


def ranked(scores: np.ndarray, classes: int) -> np.ndarray:
    return np.argsort(-scores, axis=1, kind="stable")[:, :classes]


ENDINGS: dict[str, Callable[[np.ndarray], dict[str, np.ndarray]]] = {
    "integers": lambda s: {"y": (100 * s).astype(np.int32)},
    "small integers": lambda s: {"y": (100 * s).astype(np.uint8)},
    "integers beyond 2^53": lambda s: {"y": (100 * s).astype(np.int64) + 2**62},
    "half floats": lambda s: {"y": s.astype(np.float16)},
    "truth values": lambda s: {"y": s > 0.5},
    "texts": lambda s: {"y": s.astype("U").astype(object)},
    "the top three": lambda s: {"y": ranked(s, 3)},
    "names of the top three": lambda s: {
        "y": np.array([f"class {i}" for i in range(10)], object)[ranked(s, 3)]
    },
    "the top three as texts": lambda s: {"y": ranked(s, 3).astype("U").astype(object)},
    "class numbers as floats": lambda s: {"y": s.argmax(axis=1).astype(np.float32)},
    "an axis more": lambda s: {"y": s[None]},
    "transposed": lambda s: {"y": np.ascontiguousarray(s.T)},
    "flattened": lambda s: {"y": s.reshape(-1)},
    "an output for each class": lambda s: {f"y{i}": s[:, i] for i in range(10)},
    "names that nobody knows": lambda s: {f"seen {i}": s[:, i] for i in range(10)},
}


def honest_scores(server: Server, body: bytes) -> np.ndarray:
    """Return what the server's model answers to the request that came last."""
    _, headers, said = server.infer(server.log[-1][1], body)
    return outputs_of(said, headers.get(HEADER_LENGTH), {}, ["y"])["y"]


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("ending", ENDINGS)
def test_answers_of_every_type_and_arrangement_are_read(
    watermark: Watermark, model: bytes, ending: str, binary: bool
) -> None:
    def end(server: Server, path: str, body: bytes) -> Any:
        if not path.endswith("/infer"):
            return None
        scores = honest_scores(server, body)
        return response(ENDINGS[ending](scores), binary=binary)

    with serving(model, lie=end, binary=binary) as server:
        assert verify(Endpoint.open(server.url), watermark, min_bits=64).verified


def test_names_without_end_hide_no_other_output_and_are_not_kept(
    watermark: Watermark, model: bytes
) -> None:
    """Each answer comes with 20,000 names that nobody has heard before."""

    def end(server: Server, path: str, body: bytes) -> Any:
        if not path.endswith("/infer"):
            return None
        scores = honest_scores(server, body)
        names = np.array([[f"{server.asked}, {i}" for i in range(20_000)]], object)
        return response({"y": scores, "t": names}, binary=True)

    with serving(model, lie=end, binary=True) as server:
        suspect = Endpoint.open(server.url)
        assert verify(suspect, watermark, min_bits=64).verified
        assert server.asked > 4  # 80,000 names
    assert not suspect._texts["output 2"]._numbers


def test_bfloat16_is_read_as_its_two_bytes(watermark: Watermark, model: bytes) -> None:
    def end(server: Server, path: str, body: bytes) -> Any:
        if not path.endswith("/infer"):
            return None
        scores = honest_scores(server, body)
        data = to_bfloat16(scores).tobytes()
        described = {"name": "y", "datatype": "BF16", "shape": list(scores.shape)}
        described["parameters"] = {"binary_data_size": len(data)}
        header = json.dumps({"outputs": [described]}).encode()
        return 200, {HEADER_LENGTH: str(len(header))}, header + data

    with serving(model, lie=end, binary=True) as server:
        assert verify(Endpoint.open(server.url), watermark, min_bits=64).verified


LIES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "no JSON": lambda _: b"<html>",
    "no object": lambda _: b"[1, 2]",
    "too deep": lambda _: b"[" * 100_000,
    "deeper than any reader takes": lambda said: (
        json.dumps(said).encode()[:-1] + b', "more": ' + b"[" * 64 + b"]" * 64 + b"}"
    ),
    "no outputs": lambda _: {"outputs": None},
    "outputs of another kind": lambda _: {"outputs": [1, 2]},
    "too many outputs": lambda said: {"outputs": said["outputs"] * 65},
    "the same output twice": lambda said: {"outputs": said["outputs"] * 2},
    "another shape than values": output(shape=[4, 11]),
    "a negative shape": output(shape=[-4, -10]),
    "an impossible or too large shape": output(shape=[2**30, 2**30]),
    "a shape of truth values": output(shape=[True, 10]),
    "an unknown datatype": output(datatype="FP128"),
    "a datatype that is none": output(datatype=["FP32"]),
    "texts as numbers": output(data=["a"] * 40),
    "numbers beyond the datatype": output(datatype="INT8", data=[1000] * 40),
    "objects as numbers": output(data=[{}] * 40),
    "a binary size in JSON": output(parameters={"binary_data_size": 160}),
    "a negative binary size": output(parameters={"binary_data_size": -1}, data=None),
    "maps of other inputs": lambda _: json.loads(
        response({"y": np.zeros((2, 3, 20011), np.float32)})[2]
    ),
    "an object with a name twice": lambda said: (
        json.dumps(said).encode()[:-1] + b', "outputs": []}'
    ),
    "a name twice further in": lambda said: json.dumps(said).replace('"shape"', '"name"').encode(),
    "numbers in quotes": output(data=["1.5"] * 40),
    "truth values as numbers": output(data=[True] * 40),
    "numbers as truth values": output(datatype="BOOL", data=[1] * 40),
    "fractions as integers": output(datatype="INT64", data=[1.5] * 40),
    "whole floats as integers": output(datatype="INT32", data=[1.0] * 40),
    "no number as an integer": output(datatype="INT32", data=[float("nan")] * 40),
    "an infinite integer": output(datatype="UINT64", data=[float("inf")] * 40),
    "an integer beyond its type": output(datatype="INT64", data=[2**63] * 40),
    "a negative unsigned integer": output(datatype="UINT8", data=[-1] * 40),
    "an integer beyond every float": output(data=[10**400] * 40),
    "an integer of 5,000 digits": lambda said: json.dumps(said).replace("0.0", "9" * 5000).encode(),
    "no number as a shape": output(shape=[float("nan"), 10]),
    "lists of lists without end": lambda _: b'{"outputs": [' + b"[]," * 2**22 + b"0]}",
    "objects without end": lambda _: b'{"outputs": [' + b"{}," * 2**22 + b"0]}",
    "no number": lambda _: json.loads(response({"y": np.zeros(0, np.float32)})[2]),
}


@pytest.mark.parametrize("name", LIES)
def test_a_lying_server_is_refused_in_one_line(
    watermark: Watermark, model: bytes, name: str
) -> None:
    with serving(model, lie=lying(LIES[name])) as server, pytest.raises(CannotRunError) as caught:
        verify(Endpoint.open(server.url, request_policy=POLICY), watermark)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


def test_a_name_that_stands_twice_is_refused_wherever_it_stands(
    watermark: Watermark, model: bytes
) -> None:
    """In what is said of the server, of the model, and in the header before binary tensors."""
    header = b'{"outputs": [{"name": "y", "name": "z", "shape": [4], "datatype": "INT64"}]}'
    headers = {HEADER_LENGTH: str(len(header))}
    for place, answer in (
        ("/v2", (200, {}, b'{"extensions": [], "extensions": ["binary_tensor_data"]}')),
        ("/v2/models/mine", (200, {}, b'{"platform": "a", "platform": "b"}')),
        ("/v2/models/mine", (200, {}, b'{"inputs": [{"name": "x", "name": "y"}]}')),
        ("/v2/models/mine/infer", (200, headers, header + bytes(32))),
    ):

        def lie(
            server: Server, path: str, _: bytes, place: str = place, answer: Any = answer
        ) -> Any:
            return answer if path == place else None

        with (
            serving(model, lie=lie, binary=True) as server,
            pytest.raises(CannotRunError, match="a name occurs twice in one JSON object"),
        ):
            verify(Endpoint.open(server.url, request_policy=POLICY), watermark)


@pytest.mark.slow
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 1e300, 0.0])
def test_answers_that_are_no_numbers_verify_nothing(
    watermark: Watermark, model: bytes, value: float
) -> None:
    lie = lying(lambda said: output(data=[value] * len(said["outputs"][0]["data"]))(said))
    with serving(model, lie=lie) as server:
        verdict = verify(Endpoint.open(server.url, request_policy=POLICY), watermark)
    assert not verdict.verified
    assert verdict.bits < 1


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({HEADER_LENGTH: "-1"}, b"{}"),
        ({HEADER_LENGTH: "1e3"}, b"{}"),
        ({HEADER_LENGTH: "999"}, b"{}"),
        ({HEADER_LENGTH: "14"}, b'{"outputs":[]}and more'),
    ],
)
def test_a_header_length_that_does_not_fit_is_refused(
    watermark: Watermark, model: bytes, headers: dict[str, str], body: bytes
) -> None:
    def lie(server: Server, path: str, asked: bytes) -> Any:
        return (200, headers, body) if path.endswith("/infer") else None

    with serving(model, lie=lie) as server, pytest.raises(CannotRunError, match="malformed"):
        verify(Endpoint.open(server.url, request_policy=POLICY), watermark)


def test_redirects_are_not_followed(watermark: Watermark, model: bytes) -> None:
    with serving(model) as elsewhere:

        def lie(server: Server, path: str, asked: bytes) -> Any:
            return 307, {"Location": f"{elsewhere.url}/infer"}, b""

        with serving(model, lie=lie) as server, pytest.raises(CannotRunError, match="redirects to"):
            Endpoint.open(server.url, token="secret", request_policy=POLICY)
        assert elsewhere.log == []


def test_a_huge_answer_is_cut_off(
    watermark: Watermark, model: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wmx.suspect.endpoint.client.MAX_BODY_BYTES", 10_000)
    lie = lying(lambda _: b" " * 20_000)
    with serving(model, lie=lie) as server, pytest.raises(CannotRunError, match="more than 10,000"):
        verify(Endpoint.open(server.url, request_policy=POLICY), watermark)


def test_a_dripping_answer_is_not_waited_for() -> None:
    ready, ports = threading.Event(), []
    threading.Thread(target=dripping, args=(ready, ports), daemon=True).start()
    assert ready.wait(10)
    with pytest.raises(CannotRunError, match="did not answer in full within 1 seconds"):
        Endpoint.open(
            f"http://127.0.0.1:{ports[0]}/v2/models/mine",
            request_policy=RequestPolicy(retries=0, seconds=1),
        )


@pytest.mark.parametrize(
    "numbers",
    [
        {"max_queries": 0},
        {"seconds": 0.0},
        {"seconds": float("inf")},
        {"seconds": float("nan")},
        {"per_second": -1.0},
        {"retries": -1},
    ],
)
def test_manners_without_bounds_are_refused(numbers: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        RequestPolicy(**numbers)


def test_nobody_there() -> None:
    with pytest.raises(CannotRunError, match="did not answer"):
        Endpoint.open("http://127.0.0.1:9/v2/models/mine", request_policy=POLICY)


def test_a_server_without_the_paths_of_the_protocol_is_told_them(model: bytes) -> None:
    def lie(server: Server, path: str, asked: bytes) -> Any:
        return (404, {}, b"nope") if path == "/v2" else None

    with serving(model, lie=lie) as server, pytest.raises(CannotRunError, match="404") as caught:
        Endpoint.open(server.url, request_policy=POLICY)
    assert "GET /v2 (of the server), GET /v2/models/NAME" in str(caught.value.hint)


def test_a_server_that_asks_for_patience_is_asked_again(watermark: Watermark, model: bytes) -> None:
    slept: list[float] = []
    busy = [429, 503]

    def lie(server: Server, path: str, asked: bytes) -> Any:
        return (busy.pop(), {"Retry-After": "7"}, b"") if path == "/v2" and busy else None

    with serving(model, lie=lie) as server:
        base, model_path = server.url.split("/v2", 1)[0], "/v2/models/mine"
        client = Client(base, None, RequestPolicy(), sleep=slept.append)
        assert verify(Endpoint(server.url, client, model_path), watermark, min_bits=64).verified
    assert slept == [7.0, 7.0]


def test_the_pace_is_kept(watermark: Watermark, model: bytes) -> None:
    time = 100.0

    def sleep(seconds: float) -> None:
        nonlocal time
        time += seconds

    with serving(model) as server:
        base = server.url.split("/v2", 1)[0]
        client = Client(base, None, RequestPolicy(per_second=2.0), clock=lambda: time, sleep=sleep)
        verdict = verify(Endpoint(server.url, client, "/v2/models/mine"), watermark, min_bits=64)
    assert time - 100.0 == pytest.approx((verdict.n - 1) / 2.0)


def test_a_token_is_read_from_a_file_sent_and_never_shown(
    watermark: Watermark, model: bytes, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.write_text("abc.DEF-123\n")
    with serving(model, token="abc.DEF-123") as server:
        with pytest.raises(CannotRunError, match="refused access"):
            Endpoint.open(server.url, request_policy=POLICY)
        asked = Endpoint.open(server.url, token=read_token(file), request_policy=POLICY)
        assert verify(asked, watermark, min_bits=64).verified
        assert "abc" not in repr(asked.client)


def test_a_token_never_goes_over_the_network_in_the_clear() -> None:
    with pytest.raises(UsageError, match="in the clear"):
        Endpoint.open("http://example.org/v2/models/mine", token="abc")


@pytest.mark.parametrize("text", ["", "two words", "line\nline", "é"])
def test_what_is_no_token_is_refused(text: str, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(text)
    with pytest.raises(UsageError, match="holds no token"):
        read_token(file)


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1/",
        "http://127.0.0.1/v1/models/mine",
        "http:///v2/models/mine",
        "http://user:password@127.0.0.1/v2/models/mine",
    ],
)
def test_what_is_no_address_of_a_model_is_refused(address: str) -> None:
    with pytest.raises(UsageError):
        Endpoint.open(address, request_policy=POLICY)


def test_a_certificate_that_nobody_vouches_for_is_refused(model: bytes, tmp_path: Path) -> None:
    """In processes of their own: which certificates are trusted is read once."""
    certified = self_signed(tmp_path)
    code = (
        "import sys\n"
        "from wmx.suspect.request_policy import RequestPolicy\n"
        "from wmx.suspect.endpoint.endpoint import Endpoint\n"
        "policy = RequestPolicy(retries=0)\n"
        "print(Endpoint.open(sys.argv[1], token='abc', request_policy=policy).engine)\n"
    )
    with serving(model, certified=certified) as server:
        refused, trusted = (
            subprocess.run(
                [sys.executable, "-c", code, server.url],
                env=os.environ | trust,
                check=False,
                capture_output=True,
                text=True,
            )
            for trust in ({}, {"SSL_CERT_FILE": str(certified[0])})
        )
    assert "CERTIFICATE_VERIFY_FAILED" in refused.stderr
    assert trusted.returncode == 0, trusted.stderr
    assert "onnxruntime_onnx" in trusted.stdout
    assert all(headers["authorization"] == "Bearer abc" for _, headers, _ in server.log)
    assert len(server.log) == 2  # who was not trusted heard nothing
