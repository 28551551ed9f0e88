"""What is secret stays so: passphrase, key and triggers are in no output and no other file."""

import base64
import os
import pty
import select
import subprocess
import sys
from pathlib import Path
from typing import Any

import onnx_models
import pytest
from commands import CLAIM_NEW

from wmx import Claim, OwnerKey, Watermark

MAIN = "from wmx.cli import main; main()"
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
    result = wmx("info", protected)
    assert result.code == 3
    assert content.strip() not in result.out + result.err


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
    terminal, inner = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", MAIN, "keygen", "--passphrase", "-o", "typed.pem"],
        stdin=inner,
        stdout=inner,
        stderr=inner,
        start_new_session=True,
    )
    os.close(inner)
    shown = b""
    for prompt in (b"New passphrase: ", b"Again: "):
        shown += read_until(terminal, prompt)
        os.write(terminal, f"{PASSPHRASE}\n".encode())
    shown += read_until(terminal, b"hangs on it.")
    assert process.wait() == 0
    os.close(terminal)
    assert PASSPHRASE.encode() not in shown
    OwnerKey.load("typed.pem", PASSPHRASE.encode())


def read_until(terminal: int, wanted: bytes) -> bytes:
    shown = b""
    while wanted not in shown:
        assert select.select([terminal], [], [], 60)[0], shown
        shown += os.read(terminal, 4096)
    return shown
