"""A proxy on loopback that keeps every byte it is sent, and what to search its record for."""

import base64
import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from wmx import Watermark

VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
USER = "http://proxyuser:proxypassword@"


@dataclass
class RecordingProxy:
    """What a proxy saw.

    Attributes:
        port: where it listens.
        leads_to: host and port to which every request is taken, whatever it names; if ``None``
            they all end here.
        record: all bytes that clients sent, over all connections.
    """

    port: int = 0
    leads_to: tuple[str, int] | None = None
    record: bytearray = field(default_factory=bytearray)

    @property
    def url(self) -> str:
        return f"{USER}127.0.0.1:{self.port}"


@contextmanager
def recording(leads_to: tuple[str, int] | None = None) -> Iterator[RecordingProxy]:
    """Run a proxy that takes CONNECT, and requests that name a whole address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        proxy = RecordingProxy(listener.getsockname()[1], leads_to)

        def listen() -> None:
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=_serve, args=(proxy, client), daemon=True).start()

        threading.Thread(target=listen, daemon=True).start()
        yield proxy
        listener.shutdown(socket.SHUT_RDWR)


def _serve(proxy: RecordingProxy, client: socket.socket) -> None:
    with client:
        try:
            head = bytearray()
            while b"\r\n\r\n" not in head:
                chunk = client.recv(2**16)
                if not chunk:
                    return
                proxy.record += chunk
                head += chunk
            if proxy.leads_to is None:
                length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
                end = head.index(b"\r\n\r\n") + 4 + (int(length[1]) if length else 0)
                while len(head) < end and (chunk := client.recv(2**16)):
                    proxy.record += chunk
                    head += chunk
                client.sendall(b"HTTP/1.1 502 Nobody\r\nContent-Length: 0\r\n\r\n")
                while chunk := client.recv(2**16):
                    proxy.record += chunk
                return
            with socket.create_connection(proxy.leads_to) as server:
                if head.startswith(b"CONNECT "):
                    client.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
                else:
                    server.sendall(head)
                threading.Thread(target=_pump, args=(server, client), daemon=True).start()
                while chunk := client.recv(2**16):
                    proxy.record += chunk
                    server.sendall(chunk)
        except OSError:
            pass


def _pump(source: socket.socket, sink: socket.socket) -> None:
    try:
        while chunk := source.recv(2**16):
            sink.sendall(chunk)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def spellings_of_triggers(watermark: Watermark, count: int = 100) -> Iterator[bytes]:
    """Yield the ways in which a trigger could stand in a request: raw, base64, hex and JSON."""
    arrays: list[NDArray[np.generic]] = []
    for trigger, values in zip(
        watermark.triggers[:count], watermark.inputs[:count].astype(np.float32), strict=True
    ):
        arrays += [trigger, values, np.ascontiguousarray(values.transpose(2, 0, 1))]
        arrays += [np.ascontiguousarray(trigger.transpose(2, 0, 1)), values.astype(np.float64)]
    for array in arrays:
        raw = array.tobytes()
        yield raw
        yield raw.hex().encode()
        yield base64.b64encode(raw)
        for separators in ((",", ":"), (", ", ": ")):
            yield json.dumps(array.reshape(-1).tolist(), separators=separators)[1:-1].encode()
