"""A server of the Open Inference Protocol v2 on loopback: an honest one, and liars."""

import json
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from wmx.suspect.endpoint.messages import HEADER_LENGTH

DATATYPES = {
    "tensor(float)": "FP32",
    "tensor(double)": "FP64",
    "tensor(float16)": "FP16",
    "tensor(int64)": "INT64",
    "tensor(uint8)": "UINT8",
    "tensor(string)": "BYTES",
}
DATATYPE_OF = {  # by numpy's name
    **{name: name.upper() for name in (f"{s}int{b}" for s in ("u", "") for b in (8, 16, 32, 64))},
    **{"bool": "BOOL", "float16": "FP16", "float32": "FP32", "float64": "FP64"},
}
NUMPY = {"FP32": "<f4", "FP64": "<f8", "FP16": "<f2", "INT64": "<i8", "UINT8": "<u1"}

Reply = tuple[int, dict[str, str], bytes]
Lie = Callable[["Server", str, bytes], Reply | None]


@dataclass
class Server:
    """What one server serves, and what it was asked.

    Attributes:
        session: of the model.
        binary: whether it offers binary tensors.
        silent: whether it hides what the model's inputs and outputs are.
        lie: answers instead, where it does not return ``None``.
        token: without which it refuses.
        log: of (path, headers, inputs asked).
        keep: gets every request as it came, where it is a list.
        url, port: of the model, and of the server.
    """

    session: onnxruntime.InferenceSession
    binary: bool = False
    silent: bool = False
    lie: Lie | None = None
    token: str | None = None
    log: list[tuple[str, dict[str, str], int]] = field(default_factory=list)
    keep: list[bytes] | None = None
    url: str = ""
    port: int = 0

    @property
    def asked(self) -> int:
        return sum(inputs for _, _, inputs in self.log)

    def reply(self, path: str, headers: dict[str, str], body: bytes) -> Reply:
        self.log.append((path, headers, 0))
        if self.keep is not None:
            self.keep.append(f"{path}\n{headers}\n".encode() + body)
        if self.token and headers.get("authorization") != f"Bearer {self.token}":
            return 401, {}, b'{"error": "no token"}'
        if self.lie is not None:
            lied = self.lie(self, path, body)
            if lied is not None:
                return lied
        if path == "/v2":
            extensions = ["binary_tensor_data"] if self.binary else []
            return 200, {}, json.dumps({"name": "test", "extensions": extensions}).encode()
        if path == "/v2/models/mine":
            return 200, {}, json.dumps(self._metadata()).encode()
        if path == "/v2/models/mine/infer":
            return self.infer(headers, body)
        return 404, {}, b'{"error": "no such model"}'

    def _metadata(self) -> dict[str, Any]:
        if self.silent:
            return {"name": "mine", "platform": ""}
        described = {
            key: [
                {
                    "name": port.name,
                    "datatype": DATATYPES[port.type],
                    "shape": [dim if isinstance(dim, int) else -1 for dim in port.shape],
                }
                for port in ports
            ]
            for key, ports in (
                ("inputs", self.session.get_inputs()),
                ("outputs", self.session.get_outputs()),
            )
        }
        return {"name": "mine", "platform": "onnxruntime_onnx", **described}

    def infer(self, headers: dict[str, str], body: bytes) -> Reply:
        """Answer an inference request as an honest server does, and count its inputs."""
        length = headers.get(HEADER_LENGTH.lower())
        header = body if length is None else body[: int(length)]
        at = len(header)
        document = json.loads(header)
        fed = {}
        for tensor in document["inputs"]:
            dtype = np.dtype(NUMPY[tensor["datatype"]])
            size = tensor.get("parameters", {}).get("binary_data_size")
            if size is None:
                array = np.array(tensor["data"], dtype)
            else:
                array = np.frombuffer(body[at : at + size], dtype)
                at += size
            fed[tensor["name"]] = array.reshape(tensor["shape"])
        if self.silent:
            (only,) = fed.values()
            fed = {self.session.get_inputs()[0].name: only}
        self.log[-1] = (*self.log[-1][:2], len(next(iter(fed.values()))))
        try:
            values = self.session.run(None, fed)
        except Exception as error:
            return 400, {}, json.dumps({"error": str(error)}).encode()
        wanted = [output["name"] for output in document.get("outputs", [])]
        outputs = {
            port.name: value
            for port, value in zip(self.session.get_outputs(), values, strict=True)
            if not wanted or port.name in wanted
        }
        return response(outputs, binary=length is not None)


def response(outputs: dict[str, NDArray[Any]], *, binary: bool = False) -> Reply:
    """Return an inference response."""
    described, after = [], []
    for name, value in outputs.items():
        text = value.dtype.kind in "OUS"
        output: dict[str, Any] = {"name": name, "shape": list(value.shape)}
        output["datatype"] = "BYTES" if text else DATATYPE_OF[value.dtype.name]
        if binary:
            data = (
                b"".join(
                    struct.pack("<I", len(t)) + t for t in (str(s).encode() for s in value.flat)
                )
                if text
                else value.tobytes()
            )
            output["parameters"] = {"binary_data_size": len(data)}
            after.append(data)
        else:
            output["data"] = value.reshape(-1).tolist()
        described.append(output)
    header = json.dumps({"model_name": "mine", "outputs": described}).encode()
    headers = {HEADER_LENGTH: str(len(header))} if binary else {}
    return 200, headers, header + b"".join(after)


@contextmanager
def serving(
    model: bytes, *, certified: tuple[Path, Path] | None = None, **settings: Any
) -> Iterator[Server]:
    """Serve a model; the address is ``server.url``.

    Args:
        model: an ONNX file.
        certified: certificate and key of a server that speaks TLS.
        settings: of :class:`Server`.
    """
    server = Server(onnxruntime.InferenceSession(model), **settings)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(b"")

        def do_POST(self) -> None:
            self._answer(self.rfile.read(int(self.headers["Content-Length"])))

        def _answer(self, body: bytes) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, extra, said = server.reply(self.path, headers, body)
            try:
                self.send_response(status)
                for name, value in {"Content-Length": str(len(said)), **extra}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(said)
            except OSError:  # who asks may have gone
                pass

        def log_message(self, *_: Any) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    if certified is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certified)
        http.socket = context.wrap_socket(http.socket, server_side=True)
    scheme = "http" if certified is None else "https"
    server.port = http.server_port
    server.url = f"{scheme}://127.0.0.1:{http.server_port}/v2/models/mine"
    threading.Thread(target=http.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()


def dripping(port_ready: threading.Event, ports: list[int]) -> None:
    """Answer every connection with one byte a second, for ever."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listening:
        ports.append(listening.getsockname()[1])
        port_ready.set()
        connection, _ = listening.accept()
        with connection:
            try:
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
                while True:
                    connection.sendall(b" ")
                    time.sleep(0.2)
            except OSError:
                pass
