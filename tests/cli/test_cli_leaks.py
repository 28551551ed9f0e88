"""All commands with a known key, token and passphrase: nothing public holds anything secret.

Public is what is printed, what others are meant to be given (claim, evidence, page, results) and
what goes over the network.  It is searched byte by byte for the owner's secrets and for all that
belongs to triggers which no evidence has opened, in every usual spelling, also behind base64 and in
the pixels of pictures.
"""

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, Request, build_opener

import numpy as np
import pytest
from support import onnx_models
from support.fixed import OWNER, THIEF
from support.leaks import Search, numbers, of_bytes, of_input, of_labels, unfolded
from support.oip_server import serving
from support.tsa import Authority
from support.tsa import serving as stamping

from wmx import Claim, Watermark
from wmx.cli import COMMANDS
from wmx.verification.evidence import Evidence

pytestmark = pytest.mark.slow

MAIN = "from wmx.cli import main; main()"
PASSPHRASE = "correct horse battery staple"
TOKEN = "a-token-that-nobody-else-is-to-see"
NOTE = "a note for everybody"
SECRET_FILES = {"owner.pem", "words", "token"}
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


@dataclass
class Session:
    """A folder in which an owner works, and all that came out of it.

    Attributes:
        folder: where the owner works; their home is in it too.
        said: what every command printed, by its words.
        served, proxied: requests that a model's server and a proxy got, as bytes.
        commands: first words of the commands that ran.
    """

    folder: Path
    said: dict[str, bytes] = field(default_factory=dict)
    served: list[bytes] = field(default_factory=list)
    proxied: list[bytes] = field(default_factory=list)
    commands: set[str] = field(default_factory=set)
    proxy: str = ""

    def wmx(self, *words: object, code: int = 0) -> None:
        """Run a command as its user does; the home, the store and the proxy are the session's."""
        text = [str(word) for word in words]
        environment = {
            **{name: value for name, value in os.environ.items() if name.lower() != "no_proxy"},
            "HOME": str(self.folder / "home"),
            "WMX_HOME": str(self.folder / "store"),
            "WMX_PASSPHRASE_FILE": str(self.folder / "words"),
            **dict.fromkeys(PROXIES, self.proxy),
        }
        done = subprocess.run(
            [sys.executable, "-c", MAIN, *text],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            check=False,
        )
        said = done.stdout + done.stderr
        assert done.returncode == code, f"{text}: {done.returncode}\n{said.decode()}"
        self.said[" ".join(text)] = said
        self.commands.add(text[0])

    def public(self) -> Iterator[tuple[str, bytes]]:
        """Yield the name and the content of all that others may see."""
        yield from self.said.items()
        for path in sorted(self.folder.rglob("*")):
            name = str(path.relative_to(self.folder))
            is_input = path.parent == self.folder and path.suffix in (".onnx", ".py")
            is_secret = path.name in SECRET_FILES or name.endswith(".triggers.safetensors")
            if path.is_file() and not is_input and not is_secret:
                yield name, path.read_bytes()
        yield from ((f"request {number} to a server", r) for number, r in enumerate(self.served))
        yield from ((f"request {number} to a proxy", r) for number, r in enumerate(self.proxied))


@contextmanager
def a_proxy(session: Session) -> Iterator[str]:
    """Keep what is sent to a proxy, and send it on within this machine."""
    direct = build_opener(ProxyHandler({}))

    class Handler(BaseHTTPRequestHandler):
        def _keep(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            session.proxied.append(f"{self.requestline}\n{self.headers}".encode() + body)
            if not self.path.startswith("http://127.0.0.1:"):
                self.send_error(502)
                return
            request = Request(self.path, body or None, dict(self.headers))
            with direct.open(request, timeout=30) as answer:
                said = answer.read()
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(said)

        do_GET = do_POST = do_CONNECT = _keep

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    """What an owner does in a year, with a table and with images."""
    folder = tmp_path_factory.mktemp("session")
    made = Session(folder)
    for name in ("home", "store"):
        (folder / name).mkdir()
    for name, content in (("words", PASSPHRASE), ("token", TOKEN)):
        (folder / name).write_text(f"{content}\n")
        (folder / name).chmod(0o600)
    OWNER.save(folder / "store" / "owner.pem", PASSPHRASE.encode())
    (folder / "mine.py").write_text(
        "def ask(inputs):\n    return inputs.reshape(len(inputs), -1)\n"
    )
    authority = Authority(tmp_path_factory.mktemp("tsa"))
    with a_proxy(made) as made.proxy:
        _images(made, authority)
        _table(made)
        _network(made)
        _quarrel(made)
        _mistakes(made)
        made.wmx("keygen", "-o", "new/owner.pem", "--passphrase", code=4)
        made.wmx("keygen", "-o", "store2.pem", "--passphrase", "--json")
        (folder / "store2.pem").unlink()
        made.wmx("doctor")
        made.wmx("doctor", "--json")
    return made


def _images(made: Session, authority: Authority) -> None:
    task = ("--shape", "8,8,1", "--classes", "10", "--mean", "0.3", "--std", "0.4")
    made.wmx("claim", "new", *task, "--note", NOTE, "-o", "claim.json", "--json")
    made.wmx("claim", "show", "claim.json")
    made.wmx("claim", "timestamp", "claim.json", "--request", "q.tsq")
    with stamping(authority) as url:
        made.wmx("claim", "timestamp", "claim.json", "--tsa", url, "--roots", authority.roots)
    mark = Watermark.open(Claim.load(made.folder / "claim.json"), OWNER)
    (made.folder / "model.onnx").write_bytes(onnx_models.knows_labels(mark))
    (made.folder / "junk.onnx").write_bytes(onnx_models.linear(mark, seed=0))
    for file, code in (("model.onnx", 0), ("junk.onnx", 1)):
        named = ("verify", file, "--claim", "claim.json")
        made.wmx(*named, code=code)
        made.wmx(*named, "--json", code=code)
        made.wmx("info", file)
        made.wmx("info", file, "--claim", "claim.json", "--json")
    made.wmx("verify", "model.onnx", "--report", "own.html")
    made.wmx("verify", "--callable", "mine:ask", "--claim", "claim.json", code=1)
    made.wmx("verify", "model.onnx", "--evidence", "e.json", "--report", "e.html", "--json")
    made.wmx("check", "e.json", "--model", "model.onnx", "--report", "check.html", "--json")
    made.wmx("check", "e.json", "--claim", "claim.json", code=1)
    for file in ("claim.json", "e.json", "store/owner.pem"):
        made.wmx("info", file)
        made.wmx("info", file, "--json")
    for name in ("model.onnx", "junk.onnx"):
        with serving((made.folder / name).read_bytes(), token=TOKEN, keep=made.served) as server:
            words = ("verify", server.url, "--claim", "claim.json", "--token-file", "token")
            made.wmx(*words, "--max-queries", "300", code=int(name == "junk.onnx"))
    made.wmx("verify", "http://192.0.2.1/v2/models/m", "--token-file", "token", code=2)
    made.wmx("release", "model.onnx", "--claim", "claim.json", "-o", "release.json")
    made.wmx("release", "show", "release.json", "--json")
    made.wmx("info", "release.json")
    attack = ("attack", "model.onnx", "--data", "digits", "--claim", "claim.json")
    made.wmx(*attack, "--attacks", "4-levels,blur", "-o", "attacks")


def _table(made: Session) -> None:
    (made.folder / "table.py").write_text(
        "from sklearn.datasets import load_breast_cancer\n"
        "def data():\n"
        "    x, y = load_breast_cancer(return_X_y=True)\n"
        "    return x[::2].astype('float32'), y[::2], x[1::2].astype('float32'), y[1::2]\n"
    )
    embed = ("embed", "--data", "table:data", "--framework", "sklearn", "--model", "forest")
    made.wmx(*embed, "-o", "out")
    made.wmx("verify", "out/model.onnx", "--claim", "out/claim.json", "--evidence", "table.json")
    made.wmx("info", "out/claim.json")
    made.wmx("check", "table.json", "--model", "out/model.onnx", "--report", "table.html")


def _network(made: Session) -> None:
    """A network leaves more files: its checkpoint, and the weights."""
    embed = ("embed", "--data", "digits", "--model", "mlp", "--epochs", "1", "--device", "cpu")
    made.wmx(*embed, "-o", "net", code=1)


def _quarrel(made: Session) -> None:
    """Another who has a claim, and a model that carries both marks."""
    mark = Watermark.open(Claim.load(made.folder / "claim.json"), OWNER)
    other = Watermark.new(THIEF, shape=mark.task.shape, classes=10, mean=0.3, std=0.4)
    other.claim.save(made.folder / "theirs.json")
    THIEF.save(made.folder / "home" / "owner.pem")
    words = ("dispute", "model.onnx", "--claim", "claim.json", "--claim", "theirs.json")
    made.wmx(*words, "--key", "home/owner.pem", code=1)
    made.wmx(*words, "--key", "home/owner.pem", "--json", code=1)


def _mistakes(made: Session) -> None:
    made.wmx("verify", "claim.json", code=4)
    made.wmx("verify", "store/owner.pem", code=4)
    made.wmx("verify", "model.onnx", "--claim", "store/owner.pem", code=3)
    made.wmx("verify", "model.onnx", "--claim", "theirs.json", code=3)
    made.wmx("verify", "model.onnx", "--evidence", "x.json", "--reveal", "1", code=2)
    made.wmx("claim", "show", "token", code=3)
    made.wmx("embed", "--data", "token", "-o", "nowhere", code=2)


def marks(session: Session) -> list[tuple[str, Watermark, Evidence]]:
    """The owner's watermarks, each with the evidence that opened some of its triggers."""
    files = {"image": ("claim.json", "e.json"), "table": ("out/claim.json", "table.json")}
    return [
        (
            name,
            Watermark.open(Claim.load(session.folder / claim), OWNER),
            Evidence.load(session.folder / evidence),
        )
        for name, (claim, evidence) in files.items()
    ]


def owner_secrets(session: Session) -> dict[str, set[bytes]]:
    """What an owner never shows to anybody."""
    pem = (session.folder / "store" / "owner.pem").read_bytes().splitlines()[1:-1]
    found = {
        "passphrase": {PASSPHRASE.encode(), *of_bytes(PASSPHRASE.encode())},
        "private key": of_bytes(OWNER._private_key.private_bytes_raw()),
        "key file": {*pem[:-1], b"".join(pem)},
        "token": {TOKEN.encode(), *of_bytes(TOKEN.encode())},
    }
    network = Watermark.open(Claim.load(session.folder / "net" / "claim.json"), OWNER)
    for name, mark in [*((name, mark) for name, mark, _ in marks(session)), ("network", network)]:
        found[f"{name} trigger secret"] = of_bytes(OWNER.trigger_secret(mark.claim.salt))
        found[f"{name} family key"] = of_bytes(OWNER.family_key(mark.claim.salt))
    return found


def unopened(session: Session) -> dict[str, set[bytes]]:
    """What belongs to triggers that no evidence has opened."""
    found: dict[str, set[bytes]] = {}
    network = Watermark.open(Claim.load(session.folder / "net" / "claim.json"), OWNER)
    opened = [
        (name, mark, evidence.trigger_slice.start + len(evidence.trigger_slice))
        for name, mark, evidence in marks(session)
    ]
    for name, mark, first in [*opened, ("network", network, 0)]:
        openings = mark.openings(range(first, mark.claim.n))
        assert len(openings) > 30
        for index, opening in enumerate(openings, first):
            found[f"{name} trigger {index}"] = of_input(opening.trigger, mark.inputs[index])
            found[f"{name} blinding value {index}"] = of_bytes(opening.blind)
        found[f"{name} labels"] = of_labels(mark.labels[first:], mark.task.classes)
        counts = np.bincount(mark.labels, minlength=mark.task.classes)
        found[f"numbers of {name} labels"] = {one for one in numbers(counts) if len(one) >= 12}
    return found


def found_in_public(session: Session, secrets: dict[str, set[bytes]]) -> dict[str, set[str]]:
    search = Search(secrets)
    found = {name: search.found(data) for name, data in session.public()}
    return {name: leaked for name, leaked in found.items() if leaked}


def test_every_command_was_run(session: Session) -> None:
    assert session.commands == set(COMMANDS) - {"demo"}  # which is embed and verify


def test_no_secret_of_the_owner_is_public(session: Session) -> None:
    secrets = owner_secrets(session)
    allowed = {"token"}  # to the server that it is for, on this machine
    found = found_in_public(session, secrets)
    for name in [name for name in found if name.endswith("to a server")]:
        assert found.pop(name) <= allowed
    assert found == {}


def test_nothing_of_an_unopened_trigger_is_public(session: Session) -> None:
    """A server is asked triggers, and sees those; it is told no label."""
    found = found_in_public(session, unopened(session))
    for name in [name for name in found if name.endswith("to a server")]:
        assert all(" trigger " in leak for leak in found.pop(name))
    assert found == {}


def test_a_proxy_is_told_nothing_of_what_stays_on_this_machine(session: Session) -> None:
    assert session.proxied == []


@pytest.mark.parametrize("module", ["wmx.suspect.worker", "wmx.suspect.session"])
def test_the_runtime_reports_to_nobody(module: str, session: Session, tmp_path: Path) -> None:
    """Left alone, onnxruntime keeps events in the user's home and sends them to its makers."""
    environment = os.environ | {"HOME": str(tmp_path)}
    environment.pop("ORT_DISABLE_TELEMETRY", None)
    subprocess.run([sys.executable, "-c", f"import {module}"], env=environment, check=True)
    for home in (tmp_path, session.folder / "home"):
        assert [path for path in home.rglob("*") if "onnxruntime" in str(path)] == []


def test_the_family_of_the_triggers_is_named_nowhere(session: Session) -> None:
    words = re.compile(rb"cells|\"grid|grid\"|quantile|vocabulary|excluded", re.IGNORECASE)
    found = {
        name: set(words.findall(layer))
        for name, data in session.public()
        for layer in unfolded(data)
        if words.search(layer)
    }
    assert found == {}


def test_the_search_finds_what_is_public(session: Session) -> None:
    """It looks behind base64 twice, and into pictures: what was opened is found there."""
    opened: dict[str, set[bytes]] = {}
    for name, mark, evidence in marks(session):
        trigger_slice = evidence.trigger_slice
        inputs = mark.inputs[trigger_slice.start : trigger_slice.start + len(trigger_slice)]
        opened[f"first {name} trigger"] = of_input(trigger_slice.triggers[0], inputs[0])
        opened[f"last {name} trigger"] = of_input(trigger_slice.triggers[-1], inputs[-1])
        opened[f"{name} owner"] = of_bytes(mark.claim.owner)
        index = trigger_slice.start + len(trigger_slice)
        opened[f"next {name} trigger"] = of_input(mark.triggers[index], mark.inputs[index])
    found = found_in_public(session, opened)
    assert {"first image trigger", "last image trigger", "image owner"} <= found["e.json"]
    assert {"first image trigger", "last image trigger"} <= found["check.html"]
    assert {"first table trigger", "last table trigger"} <= found["table.json"]
    served = set().union(*(leaked for name, leaked in found.items() if "to a server" in name))
    assert {"first image trigger", "next image trigger"} & served
