"""What leaves this machine, and by which way: tokens and triggers over TLS, or not at all."""

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from support import onnx_models
from support.certificates import self_signed
from support.oip_server import Server, serving
from support.recording_proxy import VARIABLES, RecordingProxy, recording, spellings_of_triggers

from wmx import OwnerKey, Watermark, verify
from wmx._internal.http import exchange, is_this_machine
from wmx.errors import CannotRunError, UsageError
from wmx.protocol.tsa import ask_authority
from wmx.suspect.endpoint.client import Client
from wmx.suspect.endpoint.endpoint import Endpoint
from wmx.suspect.request_policy import RequestPolicy

TOKEN = "a-token-of-the-owner"
POLICY = RequestPolicy(retries=0, seconds=60)


@pytest.fixture(scope="module")
def watermark() -> Watermark:
    return Watermark.new(OwnerKey.generate(), shape=(12, 10, 1), classes=10)


@pytest.fixture(scope="module")
def model(watermark: Watermark) -> bytes:
    return onnx_models.knows_labels(watermark)


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[RecordingProxy]:
    """The environment names a proxy for everything, and makes no exception."""
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)
        monkeypatch.delenv(variable.upper(), raising=False)
    with recording() as found:
        for variable in ("http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(variable, found.url)
        yield found


def secrets_in(record: bytes, watermark: Watermark) -> list[bytes]:
    found = [spelled for spelled in spellings_of_triggers(watermark) if spelled in record]
    return found + [secret for secret in (TOKEN.encode(),) if secret in record]


HERE = ("127.0.0.1", "localhost", "LocalHost", "localhost.", "[::ffff:127.0.0.1]")


@pytest.mark.parametrize("host", HERE)
@pytest.mark.parametrize("binary", [True, False])
def test_nothing_for_this_machine_goes_through_a_proxy(
    watermark: Watermark, model: bytes, proxy: RecordingProxy, host: str, binary: bool
) -> None:
    with serving(model, token=TOKEN, binary=binary) as server:
        address = server.url.replace("127.0.0.1", host)
        asked = Endpoint.open(address, token=TOKEN, request_policy=POLICY)
        assert verify(asked, watermark, min_bits=64).verified
    assert bytes(proxy.record) == b""


@pytest.mark.parametrize(
    ("host", "here"),
    [
        *((host.strip("[]"), True) for host in HERE),
        ("::1", True),
        ("model.localhost", True),  # RFC 6761
        ("127.1", True),
        ("2130706433", True),
        ("0x7f.0.0.1", True),
        ("0.0.0.0", False),
        ("::", False),
        ("localhost.example.org", False),
        ("localhost4", False),
        ("127.0.0.1.example.org", False),
        ("128.0.0.1", False),
        ("::2", False),
        ("10.0.0.1", False),
        ("", False),
    ],
)
def test_what_this_machine_is_called(host: str, here: bool) -> None:
    assert is_this_machine(host) is here


@pytest.mark.parametrize("token", [None, TOKEN])
@pytest.mark.parametrize("host", ["models.example.org", "192.0.2.1", "0.0.0.0", "127.0.0.1.nip.io"])
def test_neither_token_nor_trigger_goes_to_another_machine_in_the_clear(
    watermark: Watermark, proxy: RecordingProxy, host: str, token: str | None
) -> None:
    with pytest.raises(UsageError, match="in the clear") as caught:
        Endpoint.open(f"http://{host}/v2/models/mine", token=token, request_policy=POLICY)
    assert "https://" in str(caught.value.hint)
    assert bytes(proxy.record) == b""


def test_a_name_for_this_machine_that_leads_elsewhere_is_told_nothing(
    model: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who answers for names could send the name ``localhost`` anywhere."""
    monkeypatch.setattr(
        "wmx._internal.http._is_loopback", lambda _: False
    )  # as if it were elsewhere
    with serving(model) as server:
        address = server.url.replace("127.0.0.1", "localhost")
        with pytest.raises(CannotRunError, match="is not this machine"):
            Endpoint.open(address, token=TOKEN, request_policy=POLICY)
    assert server.log == []


def mark_in(folder: Path) -> Watermark:
    """Write a claim, its key and a token, and return the watermark."""
    owner = OwnerKey.generate()
    mark = Watermark.new(owner, shape=(12, 10, 1), classes=10)
    mark.claim.save(folder / "claim.json")
    owner.save(folder / "owner.pem")
    (folder / "token").write_text(TOKEN)
    return mark


def asked_apart(folder: Path, address: str, **environment: str) -> None:
    """Verify an address from the command line; the environment is there from the start."""
    others = {name: v for name, v in os.environ.items() if name.lower() not in VARIABLES}
    command = [sys.executable, "-c", "from wmx.cli import main; main()", "verify", address]
    options = "--claim claim.json --key owner.pem --token-file token --min-bits 64"
    done = subprocess.run(
        [*command, *options.split()],
        env=others | environment,
        cwd=folder,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.stdout.startswith("VERIFIED"), done.stderr


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize("binary", [True, False])
def test_nothing_for_this_machine_goes_through_a_proxy_of_the_command_line(
    tmp_path: Path, host: str, binary: bool
) -> None:
    mark = mark_in(tmp_path)
    knows = onnx_models.knows_labels(mark)
    with (
        serving(knows, token=TOKEN, binary=binary) as server,
        recording(leads_to=("127.0.0.1", server.port)) as proxy,
    ):
        address = server.url.replace("127.0.0.1", host)
        asked_apart(tmp_path, address, http_proxy=proxy.url, all_proxy=proxy.url)
    assert secrets_in(bytes(proxy.record), mark) == []
    assert bytes(proxy.record) == b""
    assert server.asked >= 20


@pytest.mark.parametrize("variable", ["https_proxy", "HTTPS_PROXY", "all_proxy"])
@pytest.mark.parametrize("binary", [True, False])
def test_through_a_proxy_all_goes_in_a_tunnel_under_tls(
    tmp_path: Path, variable: str, binary: bool
) -> None:
    certified = self_signed(tmp_path, "models.example.org")
    mark = mark_in(tmp_path)
    knows = onnx_models.knows_labels(mark)
    with (
        serving(knows, token=TOKEN, binary=binary, certified=certified) as server,
        recording(leads_to=("127.0.0.1", server.port)) as proxy,
    ):
        trusted = {variable: proxy.url, "SSL_CERT_FILE": str(certified[0])}
        asked_apart(tmp_path, "https://models.example.org/v2/models/mine", **trusted)
    record = bytes(proxy.record)
    assert record.startswith(b"CONNECT models.example.org:443 HTTP/1.")
    assert b"Proxy-Authorization: Basic " in record
    assert secrets_in(record, mark) == []
    assert b"/v2/models" not in record
    assert server.asked >= 20


def test_the_search_of_the_record_would_find_what_is_there(
    watermark: Watermark, model: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same requests, sent by hand through a proxy in the clear."""
    for binary in (True, False):
        with (
            serving(model, binary=binary, token=TOKEN) as server,
            recording(leads_to=("127.0.0.1", server.port)) as proxy,
        ):
            there = server.url.replace(str(server.port), str(proxy.port))
            asked = Endpoint.open(there, token=TOKEN, request_policy=POLICY)
            assert verify(asked, watermark, min_bits=64).verified
            found = secrets_in(bytes(proxy.record), watermark)
        assert TOKEN.encode() in found
        assert len(found) > 20


@pytest.mark.parametrize(
    "proxy_url", ["socks5://{}127.0.0.1:9", "https://{}127.0.0.1:9", "socks5h://{}127.0.0.1:9"]
)
@pytest.mark.parametrize("variable", ["https_proxy", "all_proxy"])
def test_a_proxy_of_another_kind_is_refused_not_left_out(
    monkeypatch: pytest.MonkeyPatch, proxy_url: str, variable: str
) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv(variable, proxy_url.format("proxyuser:proxypassword@"))
    with pytest.raises(UsageError, match="proxy") as caught:
        Endpoint.open("https://models.example.org/v2/models/mine", request_policy=POLICY)
    assert "password" not in f"{caught.value} {caught.value.hint}"
    assert "no_proxy" in str(caught.value.hint)


def test_a_proxy_that_fails_is_named_without_its_password(proxy: RecordingProxy) -> None:
    with pytest.raises(CannotRunError, match="502") as caught:
        Endpoint.open(
            "https://models.example.org/v2/models/mine", token=TOKEN, request_policy=POLICY
        )
    said = f"{caught.value} {caught.value.hint}"
    assert f"127.0.0.1:{proxy.port}" in said
    assert "password" not in said
    assert TOKEN.encode() not in proxy.record


def test_no_proxy_makes_exceptions(proxy: RecordingProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "example.org")
    monkeypatch.setattr(socket, "getaddrinfo", _nowhere)
    with pytest.raises(CannotRunError, match="did not answer"):
        Endpoint.open("https://models.example.org/v2/models/mine", request_policy=POLICY)
    assert bytes(proxy.record) == b""


def _nowhere(*_: Any, **__: Any) -> Any:
    raise socket.gaierror("no such name")


@pytest.mark.parametrize(
    "address",
    [
        "https://user:pass-word@models.example.org/v2/models/mine",
        "https://models.example.org:99999/v2/models/mine",
        "https://models.example.org:port/v2/models/mine",
        "https://[::1/v2/models/mine",
        "https://m\u00f6del.example.org/v2/models/mine",
        "https://models.example.org/a b/v2/models/mine",
        "https://models.example.org/\r\nX: y/v2/models/mine",
        "https://\uff4c\uff4f\uff43\uff41\uff4c\uff48\uff4f\uff53\uff54/v2/models/mine",
        "https:///v2/models/mine",
    ],
)
def test_addresses_that_could_be_read_in_two_ways_are_refused(address: str) -> None:
    with pytest.raises(UsageError) as caught:
        Endpoint.open(address, request_policy=POLICY)
    assert "pass-word" not in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize("token", ["two words", "line\r\nX-Header: y", "\u20ac", "", "tab\t"])
def test_a_token_that_is_none_is_refused_and_not_repeated(token: str) -> None:
    with pytest.raises(UsageError) as caught:
        Endpoint.open(
            "https://models.example.org/v2/models/mine", token=token, request_policy=POLICY
        )
    assert token == "" or token not in f"{caught.value!r} {caught.value.hint}"


def test_a_server_that_repeats_the_token_does_not_get_it_into_an_error(model: bytes) -> None:
    said = f'{{"error": "unknown token {TOKEN}"}}'.encode()
    predictions = [
        (403, {}, said),
        (500, {}, said),
        (307, {"Location": f"https://elsewhere.example.org/?token={TOKEN}"}, b""),
        (
            200,
            {},
            f'{{"inputs": [{{"name": "{TOKEN}", "datatype": "FP32", "shape": [1]}}]}}'.encode(),
        ),
    ]
    for answer in predictions:
        with (
            serving(model, lie=lambda *_, answer=answer: answer) as server,
            pytest.raises(CannotRunError) as caught,
        ):
            Endpoint.open(server.url, token=TOKEN, request_policy=POLICY)
        assert TOKEN not in f"{caught.value} {caught.value.hint}"


DIGITS = "0.125,0.625"  # of a trigger
REPEATED: dict[str, tuple[int, dict[str, str], bytes]] = {
    "a validator's error": (422, {}, f'{{"error": "bad input: {DIGITS}"}}'.encode()),
    "an error page": (500, {}, DIGITS.encode()),
    "a redirect": (302, {"Location": f"/{DIGITS}"}, b""),
    "no output": (200, {}, f'{{"outputs": [{{"name": "{DIGITS}"}}]}}'.encode()),
    "a datatype": (
        200,
        {},
        f'{{"outputs": [{{"name": "y", "shape": [1], "datatype": "{DIGITS}"}}]}}'.encode(),
    ),
    "a name twice": (
        200,
        {},
        f'{{"outputs": [{{"name": "y", "{DIGITS}": 1, "{DIGITS}": 2}}]}}'.encode(),
    ),
}


@pytest.mark.parametrize("kind", REPEATED)
def test_a_server_that_repeats_the_inputs_does_not_get_them_into_an_error(
    watermark: Watermark, model: bytes, kind: str
) -> None:
    """As validators do: "could not read [[0.1, 0.7, ..."."""

    def lie(server: Server, path: str, body: bytes) -> Any:
        return REPEATED[kind] if path.endswith("/infer") else None

    with serving(model, lie=lie) as server, pytest.raises(CannotRunError) as caught:
        verify(Endpoint.open(server.url, request_policy=POLICY), watermark)
    assert DIGITS not in f"{caught.value} {caught.value.hint}"


def test_a_status_line_that_repeats_the_inputs_is_not_shown() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def repeat() -> None:
            client, _ = listener.accept()
            with client:
                client.recv(2**16)
                client.sendall(f"{DIGITS}\r\n\r\n".encode())

        threading.Thread(target=repeat, daemon=True).start()
        with pytest.raises(CannotRunError, match="did not answer") as caught:
            Client(f"http://127.0.0.1:{listener.getsockname()[1]}", request_policy=POLICY).post(
                "/v2/models/mine/infer", b"{}", {}, inputs=1
            )
    assert DIGITS not in str(caught.value)


@pytest.mark.slow
def test_a_server_cannot_write_triggers_into_the_names_that_a_verdict_shows(
    watermark: Watermark, model: bytes
) -> None:
    """Names of outputs that were said before any trigger was sent are shown, and no others."""

    def lie(server: Server, path: str, body: bytes) -> Any:
        if not path.endswith("/infer"):
            return None
        rows = json.loads(body)["inputs"][0]["shape"][0]
        scores = ",".join(["0,0,0,0,0,0,0,0,0,1"] * rows)
        name = f"seen {DIGITS}"
        return (
            200,
            {},
            f'{{"outputs": [{{"name": "{name}", "shape": [{rows}, 10], "datatype": "FP32", '
            f'"data": [{scores}]}}]}}'.encode(),
        )

    for silent in (True, False):
        with serving(model, lie=lie, silent=silent) as server:
            verdict = verify(Endpoint.open(server.url, request_policy=POLICY), watermark)
        assert DIGITS not in repr(verdict) + repr(verdict.predictions)


def test_a_response_that_never_ends_leaves_no_thread_behind() -> None:
    """The thread is looked at, not the server's end of the connection.

    A server that waits for room in the window is not told for a minute that nobody reads any more.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def drip() -> None:
            client, _ = listener.accept()
            with client, suppress(OSError):
                while True:
                    client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")

        threading.Thread(target=drip, daemon=True).start()
        before = set(threading.enumerate())
        with pytest.raises(TimeoutError):
            exchange(f"http://127.0.0.1:{listener.getsockname()[1]}/", seconds=0.3, max_bytes=1000)
        left = set(threading.enumerate()) - before
        for thread in left:
            thread.join(30)
        assert not any(thread.is_alive() for thread in left)


def test_an_authority_may_be_asked_in_the_clear_and_through_a_proxy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A request for a timestamp holds a digest and a random number: nothing that is secret."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    with recording() as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        with pytest.raises(CannotRunError, match="HTTP 502"):
            ask_authority("http://tsa.example.org/stamp?hash=sha256", b"a digest", seconds=10)
    record = bytes(proxy.record)
    assert record.startswith(b"POST http://tsa.example.org/stamp?hash=sha256 HTTP/1.1\r\n")
    assert record.endswith(b"\r\n\r\na digest")


def test_a_password_in_an_authoritys_address_is_refused_and_not_repeated() -> None:
    with pytest.raises(UsageError) as caught:
        ask_authority("https://user:pass-word@tsa.example.org/", b"")
    assert "pass-word" not in f"{caught.value} {caught.value.hint}"


def test_a_request_follows_nobody_elsewhere(proxy: RecordingProxy) -> None:
    with serving_redirect("http://example.org/other") as site:
        assert exchange(site, seconds=10, max_bytes=1000).status == 302
    assert bytes(proxy.record) == b""


@contextmanager
def serving_redirect(location: str) -> Iterator[str]:
    """Run a server that sends everybody on."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(302)
            self.send_header("Location", location)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
