"""``wmx keygen`` and ``wmx claim``: what is written, who can read it, and what is refused."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import CLAIM_NEW
from PIL import Image
from support import onnx_models
from support.tsa import Authority

from wmx import Claim, OwnerKey, Watermark
from wmx.protocol.stamped import MAX_TIMESTAMPS
from wmx.verification.ledger import Ledger
from wmx.verification.store import Store


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tsa"))


# keygen


def test_keygen_writes_a_key_that_only_its_owner_can_read(wmx: Any) -> None:
    result = wmx("keygen", "-o", "owner.pem")
    assert result.code == 0
    assert OwnerKey.load("owner.pem").public.hex() in result.out
    assert "PRIVATE" not in result.out
    assert Path("owner.pem").stat().st_mode & 0o777 == 0o600
    assert result.err == ""


def test_keygen_does_not_replace_a_key(wmx: Any) -> None:
    wmx("keygen", "-o", "owner.pem")
    before = Path("owner.pem").read_bytes()
    result = wmx("keygen", "-o", "owner.pem")
    assert result.code == 4
    assert "wmx: error: owner.pem exists already" in result.err
    assert "wmx: hint:" in result.err
    assert Path("owner.pem").read_bytes() == before
    assert wmx("keygen", "-o", "owner.pem", "--force").code == 0
    assert Path("owner.pem").read_bytes() != before


def test_a_key_that_is_replaced_keeps_another_name(wmx: Any) -> None:
    """Whatever was claimed with it could never be proved again."""
    wmx("keygen", "-o", "owner.pem")
    first = Path("owner.pem").read_bytes()
    result = wmx("keygen", "-o", "owner.pem", "--force")
    assert "the key that existed is now owner.old-1.pem" in result.out
    second = Path("owner.pem").read_bytes()
    result = wmx("keygen", "-o", "owner.pem", "--force", "--json")
    assert result.json["kept"] == "owner.old-2.pem"
    assert Path("owner.old-1.pem").read_bytes() == first
    assert Path("owner.old-2.pem").read_bytes() == second
    assert Path("owner.old-2.pem").stat().st_mode & 0o777 == 0o600
    assert wmx("keygen", "-o", "new.pem", "--force", "--json").json["kept"] is None


def test_a_key_that_is_replaced_knows_what_it_has_disclosed(wmx: Any, home: Path) -> None:
    """Under its other name it would disclose the same triggers again."""
    wmx("keygen")
    key = OwnerKey.load(home / "owner.pem")
    claim = Watermark.new(key, shape=(8, 8, 1), classes=10).claim
    Ledger(home / "owner.pem", claim).spend(key, 0, 43, suspect="ab", evidence="cd")
    assert wmx("keygen", "--force").code == 0
    old = Ledger(home / "owner.old-1.pem", claim)
    assert old.next_start() == 43
    old.spend(key, 43, 43, suspect="ab", evidence="ef")
    (home / "owner.old-1.pem").rename(home / "owner.pem")  # moved back, and replaced once more
    assert wmx("keygen", "--force").code == 0
    assert Ledger(home / "owner.old-1.pem", claim).next_start() == 86
    assert Ledger(home / "owner.pem", claim).next_start() == 86


@pytest.mark.parametrize("exists", [True, False])
def test_keys_made_at_once_are_all_kept(exists: bool, tmp_path: Path) -> None:
    """The public half of a key that was printed may stand in a claim already."""
    if exists:
        OwnerKey.generate().save(tmp_path / "owner.pem")
    command = [sys.executable, "-c", "from wmx.cli import main; main()"]
    command += ["keygen", "-o", "owner.pem", "--force", "--json"]
    running = [
        subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(4)
    ]
    printed = [json.loads(process.communicate()[0]) for process in running]
    made = {answer["public"] for answer in printed if "public" in answer}
    kept = [OwnerKey.load(path).public.hex() for path in tmp_path.glob("*.pem")]
    assert made
    assert made <= set(kept)
    assert len(kept) == len(set(kept)), "two names for one key"


def test_a_claim_that_is_replaced_stays_in_the_store(
    wmx: Any, home: Path, authority: Authority
) -> None:
    """A model may bear its mark; without the claim nobody could say so."""
    wmx("keygen")
    owner = OwnerKey.load(home / "owner.pem")
    before = Watermark.new(owner, shape=(8, 8, 1), classes=10).claim
    stamp = authority.stamp(before.envelope.signature)
    before.with_timestamps([stamp]).save("claim.json")
    assert wmx(*CLAIM_NEW, "-o", "claim.json", "--force").code == 0
    after = Claim.load("claim.json")
    kept = {claim.digest: claim.timestamps for claim in Store().claims()}
    assert kept == {before.digest: (stamp,), after.digest: ()}
    assert not Path("claim.old-1.json").exists()


def test_timestamps_for_which_the_store_has_no_room_stay_beside_the_replaced_claim(
    wmx: Any, claim: Path, authority: Authority
) -> None:
    """A stranger's copy has filled the store's before; whose these here are cannot be known."""
    signature = Claim.load(claim).envelope.signature
    stamps = [authority.stamp(signature) for _ in range(MAX_TIMESTAMPS + 1)]
    for some in (stamps[1:], stamps[:1]):
        replace(Claim.load(claim), timestamps=tuple(some)).save("copy.json", force=True)
        assert wmx(*CLAIM_NEW, "-o", "copy.json", "--force").code == 0
    (kept,) = (one for one in Store().claims() if one.envelope.signature == signature)
    assert kept.timestamps == tuple(stamps[1:])
    assert Claim.load("copy.old-1.json").timestamps == (stamps[0],)


def test_a_claim_of_another_key_that_is_replaced_keeps_another_name(
    wmx: Any,
) -> None:
    wmx("keygen")
    other = Watermark.new(OwnerKey.generate(), shape=(8, 8, 1), classes=10).claim
    other.save("claim.json")
    assert wmx(*CLAIM_NEW, "-o", "claim.json", "--force").code == 0
    assert Claim.load("claim.old-1.json").digest == other.digest
    Path("claim.json").write_bytes(Path("claim.json").read_bytes().replace(b'"sig":"', b'"sig":"A'))
    damaged = Path("claim.json").read_bytes()
    assert wmx(*CLAIM_NEW, "-o", "claim.json", "--force").code == 0
    assert Path("claim.old-2.json").read_bytes() == damaged
    assert other.digest not in {claim.digest for claim in Store().claims()}


def test_keygen_without_a_name_fills_the_store(wmx: Any, home: Path) -> None:
    assert wmx("keygen").code == 0
    assert (home / "owner.pem").exists()
    assert home.stat().st_mode & 0o777 == 0o700


def test_a_key_with_a_passphrase(wmx: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("words").write_text("correct horse\n")
    monkeypatch.setenv("WMX_PASSPHRASE_FILE", "words")
    assert wmx("keygen", "-o", "owner.pem", "--passphrase").code == 0
    assert b"ENCRYPTED" in Path("owner.pem").read_bytes()
    new = (*CLAIM_NEW, "--key", "owner.pem", "-o")
    assert wmx(*new, "a.json").code == 0
    Path("words").write_text("wrong horse\n")
    result = wmx(*new, "b.json")
    assert result.code == 3
    assert "wrong passphrase" in result.err
    monkeypatch.delenv("WMX_PASSPHRASE_FILE")
    result = wmx(*new, "b.json")
    assert result.code == 3
    assert "WMX_PASSPHRASE_FILE" in result.err
    assert not Path("b.json").exists()


# claim


def test_a_claim_says_what_it_is_for_and_hides_the_triggers(wmx: Any, claim: Path) -> None:
    result = wmx("claim", "show", claim)
    assert result.code == 0
    assert "image 8x8x1, 10 classes" in result.out
    assert Claim.load(claim).digest in result.out
    assert wmx("claim", "show", claim, "--json").json["n"] == 100


def test_no_key_is_ever_made_silently(wmx: Any, home: Path) -> None:
    result = wmx(*CLAIM_NEW, "-o", "claim.json")
    assert result.code == 4
    assert "wmx keygen" in result.err
    assert not home.exists()
    assert not Path("claim.json").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--shape", "8,8", "--classes", "10"), "height, width, channels"),
        (("--shape", "8,8,1", "--classes", "1"), "classes is 1"),
        (("--shape", "8,eight,1", "--classes", "10"), "--shape"),
        (("--shape", "8,8,1", "--classes", "10", "--std", "0"), "std"),
        (("--shape", "8,8,1", "--classes", "10", "--mean", "a"), "--mean"),
        (("--shape", "8,8,1", "--classes", "10", "--range", "1"), "--range"),
        (("--shape", "8", "--classes", "10", "--kind", "features"), "quantiles"),
        (("--shape", "8", "--classes", "10", "--kind", "tokens"), "vocabulary"),
        (("--shape", "8,8,1", "--classes", "ten"), "'--classes'"),
        (("--shape", "8,8,1"), "--classes"),
    ],
)
def test_wrong_options_are_usage_errors_and_leave_nothing(
    wmx: Any, options: tuple[str, ...], message: str
) -> None:
    wmx("keygen")
    result = wmx("claim", "new", "-o", "claim.json", *options)
    assert result.code == 2
    assert result.err.startswith("wmx: error: ")
    assert message in result.err
    assert result.out == ""
    assert not Path("claim.json").exists()


def test_claims_over_features_and_tokens(wmx: Any) -> None:
    wmx("keygen")
    np.save("quantiles.npy", np.linspace(0, 1, 6 * 5).reshape(6, 5).round(4))
    features = ("--kind", "features", "--shape", "6", "--classes", "3")
    assert wmx("claim", "new", "-o", "f.json", *features, "--quantiles", "quantiles.npy").code == 0
    tokens = ("--kind", "tokens", "--shape", "32", "--classes", "2")
    special = ("--vocabulary", "5000", "--exclude", "0,1,2")
    assert wmx("claim", "new", "-o", "t.json", *tokens, *special).code == 0
    assert Claim.load("t.json").n == 256  # two classes need more triggers


def test_a_pickled_table_of_quantiles_is_refused(wmx: Any) -> None:
    wmx("keygen")
    np.save("quantiles.npy", np.array([[{}]], dtype=object), allow_pickle=True)
    options = ("--kind", "features", "--shape", "1", "--classes", "3")
    result = wmx("claim", "new", "-o", "f.json", *options, "--quantiles", "quantiles.npy")
    assert result.code == 2
    assert result.err.startswith("wmx: error: ")


def test_a_claim_over_ones_own_images(wmx: Any) -> None:
    from PIL import Image

    wmx("keygen")
    Path("pictures").mkdir()
    rng = np.random.default_rng(0)
    for number in range(100):
        pixels = rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(f"pictures/{number:03d}.png")
    options = ("--shape", "12,12,3", "--classes", "10", "--trigger-images", "pictures")
    result = wmx("claim", "new", "-o", "c.json", *options)
    assert result.code == 0
    secret = Path("c.triggers.safetensors")
    assert secret.stat().st_mode & 0o777 == 0o600
    owner = OwnerKey.load("store/owner.pem")
    from wmx.triggers.trigger_file import load_images

    watermark = Watermark.open(Claim.load("c.json"), owner, images=load_images(secret))
    Path("model.onnx").write_bytes(onnx_models.knows_labels(watermark))
    assert wmx("verify", "model.onnx", "--claim", "c.json", "--triggers", secret).code == 0
    assert wmx("verify", "model.onnx").code == 0  # the store keeps the images too
    assert wmx("info", secret).code == 0


def test_a_long_note_is_cut_for_people_and_whole_for_programs(wmx: Any, home: Path) -> None:
    assert wmx("keygen").code == 0
    assert wmx(*CLAIM_NEW, "--note", "n" * 5000, "-o", "noted.json").code == 0
    for words in (("claim", "show"), ("info",)):
        shown = wmx(*words, "noted.json")
        assert "n" * 2000 + "...\n" in shown.out
        assert "n" * 2001 not in shown.out
        assert wmx(*words, "noted.json", "--json").json["note"] == "n" * 5000


@pytest.mark.parametrize(
    ("options", "warns"),
    [
        (("--mean", "33", "--std", "78"), True),
        (("--mean", "0.5", "--std", "78"), True),
        (("--mean", "33", "--std", "78", "--range", "0,255"), False),
        (("--mean", "0.13", "--std", "0.31"), False),
    ],
)
def test_a_normalisation_of_another_scale_is_warned_of(
    wmx: Any, home: Path, options: tuple[str, ...], warns: bool
) -> None:
    assert wmx("keygen").code == 0
    result = wmx(*CLAIM_NEW, "-o", "c.json", *options)
    assert result.code == 0
    assert ("warning" in result.err) == warns
    assert ("--range 0,255" in result.err) == warns


# the number of triggers


def test_a_model_is_not_trained_with_too_few_triggers(
    wmx: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert wmx("keygen").code == 0
    monkeypatch.setattr("wmx.training.embed.embed", None)
    for n, bits in ((5, 11), (40, 126)):
        result = wmx("embed", "--data", "digits", "-n", n, "-o", "out")
        assert result.code == 2
        assert f"{n} triggers of 10 classes give about {bits} bits" in result.err
        assert "128 are needed" in result.err
        assert "take 41 or more with -n (default: 100)" in result.err
        assert not Path("out").exists()


def test_too_few_images_of_ones_own_are_not_trained_either(wmx: Any) -> None:
    assert wmx("keygen").code == 0
    Path("own").mkdir()
    for number in range(6):
        pixels = np.random.default_rng(number).integers(0, 256, (8, 8), dtype=np.uint8)
        Image.fromarray(pixels).save(f"own/{number}.png")
    result = wmx("embed", "--data", "digits", "--trigger-images", "own", "-o", "out")
    assert result.code == 2
    assert "41 or more images" in result.err


@pytest.mark.parametrize(("n", "said"), [(5, "64 with a trusted timestamp)"), (30, "suffice")])
def test_a_claim_of_too_few_triggers_is_made_with_a_warning(wmx: Any, n: int, said: str) -> None:
    assert wmx("keygen").code == 0
    result = wmx(*CLAIM_NEW, "-n", n, "-o", "few.json")
    assert result.code == 0
    assert f"wmx: warning: {n} triggers of 10 classes give about" in result.err
    assert said in result.err
    assert "take 41 or more with -n" in result.err
    assert wmx(*CLAIM_NEW, "-n", 41, "-o", "enough.json").err == ""


# the list


def test_the_claims_of_the_store_are_listed(wmx: Any, claim: Path, home: Path) -> None:
    assert wmx("verify", "model.onnx", "--evidence", "e.json").code == 0
    tokens = ("--kind", "tokens", "--vocabulary", "50", "--shape", "5", "--classes", "3")
    assert wmx("claim", "new", *tokens, "--note", "for\nthe shop", "-o", "t.json").code == 0
    result = wmx("claim", "list")
    assert result.code == 0
    assert result.out.startswith("2 claims in ")
    assert "image 8x8x1, 10 classes; 57 of 100 triggers undisclosed; not dated" in result.out
    assert (
        "tokens 5, 3 classes; 162 of 162 triggers undisclosed; not dated; note: for" in result.out
    )
    told = {one["claim"]: one for one in wmx("claim", "list", "--json").json["claims"]}
    first = told[Claim.load(claim).digest]
    assert (first["n"], first["triggers_left"], first["timestamps"]) == (100, 57, 0)
    assert first["created"] == Claim.load(claim).created
    assert Claim.load(first["path"]).digest == first["claim"]
    assert first["path"] in result.out
    Path(first["path"]).rename("elsewhere.json")
    assert wmx("claim", "list").out.startswith("1 claim in ")


def test_a_store_without_a_claim_or_a_key_has_an_empty_list(wmx: Any) -> None:
    result = wmx("claim", "list", "--json")
    assert (result.code, result.json["claims"]) == (0, [])


def test_the_claims_of_a_key_that_was_replaced_know_what_was_disclosed(
    wmx: Any, claim: Path
) -> None:
    assert wmx("verify", "model.onnx", "--evidence", "e.json").code == 0
    assert wmx("keygen", "--force").code == 0
    assert "57 of 100" in wmx("claim", "list").out
