"""The file of a ledger: only the claim's owner can say what was disclosed."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from documents import blocks, page
from support.evidence_files import small_watermark

from wmx import Claim, OwnerKey
from wmx.errors import IntegrityError
from wmx.protocol import jcs
from wmx.protocol.dsse import Envelope
from wmx.verification.ledger import Ledger
from wmx.verification.ledger_file import (
    PAYLOAD_TYPE,
    Disclosure,
    ledger_from_bytes,
    ledger_to_bytes,
)

KEY = OwnerKey.generate()
THIEF = OwnerKey.generate()
CLAIM = small_watermark(KEY, 100).claim
WORDS = {"suspect": "aa" * 32, "evidence": "bb" * 32}
VECTORS = Path(__file__).parent / "vectors"


def entry(start: int, count: int) -> Disclosure:
    return Disclosure(start, count, time="2026-11-29T00:00:00Z", **WORDS)


def payload(entries: list[Any], **changes: Any) -> bytes:
    return jcs.dumps({"claim": CLAIM.digest, "format": 2, "disclosed": entries} | changes)


def sealed(key: OwnerKey, *entries: Any, **changes: Any) -> bytes:
    return Envelope.seal(PAYLOAD_TYPE, payload(list(entries), **changes), key).to_bytes()


ENTRY = {"start": 0, "count": 30, "time": "", **WORDS}
REFUSED = {
    "another's signature": sealed(THIEF, ENTRY),
    "the owner's name on another's signature": sealed(THIEF, ENTRY).replace(
        json.loads(sealed(THIEF))["signatures"][0]["keyid"].encode(),
        json.loads(sealed(KEY))["signatures"][0]["keyid"].encode(),
    ),
    "no signature, as in an earlier draft": payload([ENTRY], format=1),
    "more triggers than the claim has": sealed(KEY, {**ENTRY, "count": 101}),
    "more triggers than a claim can have": sealed(KEY, {**ENTRY, "count": 2**53 - 1}),
    "another claim": sealed(KEY, ENTRY, claim="cc" * 32),
    "another format": sealed(KEY, ENTRY, format=3),
    "another field": sealed(KEY, ENTRY, more=1),
    "no list": sealed(KEY, disclosed=None),
    "an entry that lacks fields": sealed(KEY, {"start": 0}),
    "a gap": sealed(KEY, {**ENTRY, "start": 1}),
    "no trigger": sealed(KEY, {**ENTRY, "count": 0}),
    "a text for a number": sealed(KEY, {**ENTRY, "count": "5"}),
    "a number for a text": sealed(KEY, {**ENTRY, "suspect": 5}),
    "no object": Envelope.seal(PAYLOAD_TYPE, b"[[]]", KEY).to_bytes(),
    "a claim": CLAIM.to_bytes(),
    "another payload type": Envelope.seal("text/plain", payload([ENTRY]), KEY).to_bytes(),
}


@pytest.mark.parametrize(
    "folder", ["owner.pem.spent", "thief.pem.spent", "thief.pem.spent/a.spent"]
)
@pytest.mark.parametrize("kind", REFUSED)
def test_what_the_owner_did_not_sign_is_an_error_wherever_it_lies(
    kind: str, folder: str, tmp_path: Path
) -> None:
    """Taken for empty, disclosed triggers would count again; believed, anybody could spend them."""
    KEY.save(tmp_path / "owner.pem")
    THIEF.save(tmp_path / "thief.pem")
    ledger = Ledger(tmp_path / "owner.pem", CLAIM)
    assert ledger.spend(KEY, 0, 5, **WORDS)
    own = tmp_path / "owner.pem.spent" / f"{CLAIM.digest}.json"
    before = own.read_bytes()
    forged = tmp_path / folder / own.name
    forged.parent.mkdir(parents=True, exist_ok=True)
    forged.write_bytes(REFUSED[kind])
    for refused in (
        ledger.next_start,
        lambda: ledger.spend(KEY, 5, 5, **WORDS),
        lambda: ledger.spend(KEY, 30, 5, **WORDS),
    ):
        with pytest.raises(IntegrityError) as caught:
            refused()
        assert str(forged) in str(caught.value)
        assert "remove it if it is not yours" in str(caught.value.hint)
        assert "earlier draft" in str(caught.value.hint)
    if forged == own:
        return
    assert own.read_bytes() == before, "nothing of it is copied"
    forged.unlink()
    assert ledger.next_start() == 5


def test_a_ledger_is_read_without_the_private_key_and_back_to_the_byte() -> None:
    entries = [entry(0, 43), entry(43, 57)]
    data = ledger_to_bytes(entries, CLAIM, KEY)
    assert ledger_from_bytes(data, Claim.from_bytes(CLAIM.to_bytes()), "ledger") == entries
    assert ledger_from_bytes(ledger_to_bytes([], CLAIM, KEY), CLAIM, "ledger") == []


def test_a_ledger_of_an_earlier_draft_is_renewed_as_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    KEY.save("owner.pem")
    CLAIM.save("claim.json")
    (program,) = [one for one in blocks(page("evidence.md"), "python") if ".spend(" in one]
    exec(program, {})
    assert Ledger("owner.pem", CLAIM).next_start() == 43


def test_the_frozen_ledger_is_what_docs_evidence_says() -> None:
    """By a reader that uses nothing of wmx, and by wmx."""
    claim_file = json.loads((VECTORS / "wmx-3" / "cells-grey.claim.json").read_bytes())
    data = (VECTORS / "ledger-2" / "cells-grey.ledger.json").read_bytes()
    file = json.loads(data)
    (signature,) = file["signatures"]
    body, kind = base64.b64decode(file["payload"]), "application/vnd.wmx.ledger+json"
    assert file["payloadType"] == kind
    pae = b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(body), body)
    owner = json.loads(base64.b64decode(claim_file["payload"]))["owner"]
    public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(owner))
    public.verify(base64.b64decode(signature["sig"]), pae)
    said = json.loads(body)
    claim = Claim.load(VECTORS / "wmx-3" / "cells-grey.claim.json")
    assert (said["claim"], said["format"]) == (claim.digest, 2)
    assert [(one["start"], one["count"]) for one in said["disclosed"]] == [(0, 43), (43, 21)]
    read = ledger_from_bytes(data, claim, "ledger")
    assert [vars(one) for one in read] == said["disclosed"]
    key = OwnerKey.load(VECTORS / "wmx-3" / "owner.pem")
    assert ledger_to_bytes(read, claim, key) == data
