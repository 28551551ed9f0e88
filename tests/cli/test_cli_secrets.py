"""What is secret stays so: passphrase, key and triggers are in no output and no other file."""

import base64
import os
import pty
import select
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from commands import CLAIM_NEW
from support import onnx_models

from wmx import Claim, OwnerKey, Watermark
from wmx.verification.evidence import Evidence

MAIN = "from wmx.cli import main; main()"
OWN_TERMINAL = "import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY)"  # opens /dev/tty for it
PASSPHRASE = "correct horse battery staple"


@pytest.fixture
def protected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wmx: Any) -> Path:
    """A key in the store under a passphrase, whose file lies outside the working folder."""
    words = tmp_path.parent / f"{tmp_path.name}-words"
    words.write_text(f"{PASSPHRASE}\nanother line\n")
    monkeypatch.setenv("WMX_PASSPHRASE_FILE", str(words))
    assert wmx("keygen", "--passphrase").code == 0
    return Path("store/owner.pem")


def spellings(secret: bytes) -> list[bytes]:
    """The ways in which bytes get into texts and files."""
    return [
        secret,
        secret.hex().encode(),
        secret.hex().upper().encode(),
        base64.b64encode(secret).rstrip(b"="),
        ",".join(map(str, secret[:24])).encode(),
        ", ".join(map(str, secret[:24])).encode(),
    ]


def test_no_command_gives_a_secret_away(wmx: Any, protected: Path) -> None:
    printed = b""
    for words in (
        (*CLAIM_NEW, "-o", "claim.json", "--json"),
        (*CLAIM_NEW, "-o", "claim.json"),  # exists already
        ("claim", "show", "claim.json"),
        ("info", "claim.json"),
        ("info", protected),
        ("info", protected, "--json"),
        ("doctor",),
    ):
        result = wmx(*words)
        printed += f"{result.out}{result.err}".encode()
    owner = OwnerKey.load(protected, PASSPHRASE.encode())
    watermark = Watermark.open(Claim.load("claim.json"), owner)
    Path("model.onnx").write_bytes(onnx_models.linear(watermark, seed=0))
    for words in (
        ("verify", "model.onnx"),
        ("verify", "model.onnx", "--claim", "claim.json", "--json"),
        ("verify", "claim.json", "--claim", "claim.json"),
        ("verify", "model.onnx", "--claim", protected),
        ("verify", protected),
    ):
        result = wmx(*words)
        printed += f"{result.out}{result.err}".encode()
    written = b"".join(
        path.read_bytes() for path in Path().rglob("*") if path.is_file() and path != protected
    )
    secrets = [
        PASSPHRASE.encode(),
        owner._private_key.private_bytes_raw(),
        owner.trigger_secret(watermark.claim.salt),
        b"".join(protected.read_bytes().splitlines()[1:-1]),
        *(trigger.tobytes() for trigger in watermark.triggers),
    ]
    for secret in secrets:
        for spelled in spellings(secret):
            assert spelled not in printed
            assert spelled not in written


def test_the_search_would_find_what_is_public(wmx: Any, protected: Path) -> None:
    """The owner's public key and the root are spelled in outputs: the search above can fail."""
    result = wmx(*CLAIM_NEW, "-o", "claim.json", "--json")
    claim = Claim.load("claim.json")
    assert any(s in result.out.encode() for s in spellings(claim.owner))
    assert any(s in result.out.encode() for s in spellings(claim.root))


@pytest.mark.parametrize("content", ["a mistyped phrase\n", "correct horse battery staple \n"])
def test_a_wrong_passphrase_is_not_repeated(wmx: Any, protected: Path, content: str) -> None:
    Path(os.environ["WMX_PASSPHRASE_FILE"]).write_text(content)
    for words in (("info", protected), ("info", protected, "--json")):
        result = wmx(*words)
        assert result.code == 3
        assert "wrong passphrase" in result.err
        assert content.strip() not in result.out + result.err


BROKEN = """
import sys
from cryptography.hazmat.primitives import serialization
def broken(*arguments):
    raise RuntimeError("a library fails")
serialization.load_der_private_key = broken
from wmx.cli import main
main()
"""


@pytest.mark.parametrize("words", [("info",), ("info", "--json")])
def test_a_fault_is_no_verdict_and_its_traceback_shows_no_value(
    protected: Path, words: tuple[str, ...]
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", BROKEN, *words, protected], capture_output=True, check=False
    )
    assert done.returncode == 4  # Python's own would be 1, which says "not verified"
    assert b"\nRuntimeError: a library fails\nwmx: error: a bug in wmx: Runtime" in done.stderr
    body = b"".join(protected.read_bytes().splitlines()[1:-1])
    for secret in (PASSPHRASE.encode(), body[:40]):
        assert secret not in done.stdout + done.stderr


def test_an_evidence_gives_nothing_away_but_what_it_discloses(wmx: Any, protected: Path) -> None:
    assert wmx(*CLAIM_NEW, "-o", "claim.json").code == 0
    owner = OwnerKey.load(protected, PASSPHRASE.encode())
    watermark = Watermark.open(Claim.load("claim.json"), owner)
    Path("model.onnx").write_bytes(onnx_models.knows_labels(watermark))
    shown = b""
    for words in (
        ("verify", "model.onnx", "--evidence", "e.json", "--json"),
        ("verify", "model.onnx", "--evidence", "e.json", "--reveal", "1", "--force"),  # too few
        ("check", "e.json", "--model", "model.onnx"),
        ("info", "e.json", "--json"),
    ):
        result = wmx(*words)
        shown += f"{result.out}{result.err}".encode()
    disclosed = len(Evidence.load("e.json").trigger_slice)
    shown += Evidence.load("e.json").envelope.payload
    for path in Path("store/owner.pem.spent").iterdir():
        shown += path.read_bytes()
    secret = owner.trigger_secret(watermark.claim.salt)
    openings = watermark.openings(range(len(watermark.triggers)))
    assert all(any(s in shown for s in spellings(o.blind)) for o in openings[:disclosed])
    secrets = [
        PASSPHRASE.encode(),
        owner._private_key.private_bytes_raw(),
        secret,
        b"".join(protected.read_bytes().splitlines()[1:-1]),
        *(opening.blind for opening in openings[disclosed:]),
        *(opening.trigger.tobytes() for opening in openings[disclosed:]),
    ]
    for kept in secrets:
        for spelled in spellings(kept):
            assert spelled not in shown


def test_the_process_of_a_suspect_is_told_no_secret(
    wmx: Any, protected: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Arguments can be read by every user of the machine, the environment by the model."""
    assert wmx(*CLAIM_NEW, "-o", "claim.json").code == 0
    owner = OwnerKey.load(protected, PASSPHRASE.encode())
    mark = Watermark.open(Claim.load("claim.json"), owner)
    Path("model.onnx").write_bytes(onnx_models.linear(mark, seed=0))
    monkeypatch.setenv("WMX_SECRET", "a variable of the owner")
    told: list[Any] = []
    start = subprocess.Popen

    def spied(words: Any, **options: Any) -> Any:
        told.append((words, options["env"]))
        return start(words, **options)

    monkeypatch.setattr("wmx.suspect.sandbox.process.subprocess.Popen", spied)
    assert wmx("verify", "model.onnx").code == 1
    assert len(told) == 2, "one that runs the model, and one that looks into it"
    for words, environment in told:
        assert "model.onnx" not in words
        assert not {"WMX_PASSPHRASE_FILE", "WMX_HOME", "WMX_SECRET"} & set(environment)
        for secret in (PASSPHRASE, owner.trigger_secret(mark.claim.salt).hex()):
            assert secret not in f"{words} {environment}"


def test_the_key_file_alone_opens_nothing(wmx: Any, protected: Path) -> None:
    os.environ.pop("WMX_PASSPHRASE_FILE")
    result = wmx("info", protected)
    assert result.code == 3
    assert "protected by a passphrase" in result.err


def test_no_option_takes_a_passphrase(wmx: Any) -> None:
    """What stands on a command line can be read by every user of the machine."""
    assert wmx("keygen", "--passphrase", PASSPHRASE).code == 2
    assert wmx("keygen", f"--passphrase={PASSPHRASE}").code == 2


def test_a_typed_passphrase_is_not_echoed(tmp_path: Path) -> None:
    """Neither where it is chosen nor where it is asked for."""
    chosen = typed(
        ("keygen", "--passphrase", "-o", "typed.pem"), ("New passphrase: ", "Again: "), "depends on"
    )
    OwnerKey.load("typed.pem", PASSPHRASE.encode())
    asked = typed(("info", "typed.pem"), ("Passphrase of typed.pem: ",), "passphrase   yes")
    assert PASSPHRASE.encode() not in chosen + asked


@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
def test_a_typed_passphrase_is_its_bytes_whatever_they_mean(
    wmx: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, locale: str
) -> None:
    """As Latin-1 spells it: no UTF-8, on a terminal or in a file."""
    monkeypatch.setenv("LC_ALL", locale)
    words = "gr\xfc\xdf dich".encode("latin-1")
    new = ("New passphrase: ", "Again: ")
    typed(("keygen", "--passphrase", "-o", "typed.pem"), new, "depends on", words)
    OwnerKey.load("typed.pem", words)
    typed(("info", "typed.pem"), ("Passphrase of typed.pem: ",), "passphrase   yes", words)
    (tmp_path / "words").write_bytes(words + b"\n")
    monkeypatch.setenv("WMX_PASSPHRASE_FILE", "words")
    assert wmx("info", "typed.pem").code == 0


def typed(
    words: tuple[str, ...],
    prompts: tuple[str, ...],
    end: str,
    passphrase: bytes = PASSPHRASE.encode(),
) -> bytes:
    """Run a command on a terminal, type the passphrase at each prompt, and return what is shown."""
    terminal, inner = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", f"{OWN_TERMINAL}; {MAIN}", *words],
        stdin=inner,
        stdout=inner,
        stderr=inner,
        start_new_session=True,
    )
    os.close(inner)
    shown = b""
    for prompt in prompts:
        shown += read_until(terminal, prompt.encode())
        os.write(terminal, passphrase + b"\n")
    shown += read_until(terminal, end.encode())
    assert process.wait() == 0
    os.close(terminal)
    return shown


def read_until(terminal: int, wanted: bytes) -> bytes:
    shown = b""
    while wanted not in shown:
        assert select.select([terminal], [], [], 60)[0], shown
        shown += os.read(terminal, 4096)
    return shown
