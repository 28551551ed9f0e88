"""``wmx verify --evidence`` and ``wmx check``: the whole way, exit codes and words."""

import json
import shlex
from pathlib import Path
from typing import Any

import onnx
import pytest
from commands import CLAIM_NEW
from support import one_node, onnx_models

from wmx import Claim, Evidence, OwnerKey, Watermark
from wmx.verification.ledger import Ledger
from wmx.verification.ledger_file import Disclosure, ledger_to_bytes


@pytest.fixture
def evidence(wmx: Any, claim: Path) -> Path:
    assert wmx("verify", "model.onnx", "--claim", claim, "--evidence", "e.json").code == 0
    return Path("e.json")


def test_the_owner_sees_what_was_disclosed(wmx: Any, claim: Path, home: Path) -> None:
    result = wmx("verify", "model.onnx", "--evidence", "e.json")
    assert result.code == 0
    assert "triggers 0 to 42 of 100; they are spent" in result.out
    assert "wmx check e.json --model model.onnx" in result.out
    rows = [line.split("  ")[1] for line in result.out.splitlines() if line.startswith("  ")]
    assert len(rows) == len(set(rows)), "no two rows have the same name"
    assert {"file", "disclosed bits"} < set(rows)
    assert "at most once in 2^" in result.out
    ledger = (home / "owner.pem.spent" / f"{Claim.load(claim).digest}.json").read_bytes()
    named = wmx("verify", "model.onnx", "--claim", claim, "--evidence", "e2.json")
    assert "wmx check e2.json --model model.onnx --claim claim.json" in named.out
    Path("e2.json").unlink()
    (home / "owner.pem.spent" / f"{Claim.load(claim).digest}.json").write_bytes(ledger)
    again = wmx("verify", "model.onnx", "--evidence", "e2.json", "--json").json
    assert (again["evidence"]["start"], again["evidence"]["count"]) == (43, 43)
    assert (again["start"], again["hits"], again["n"]) == (43, 57, 57)  # those never disclosed


def test_anybody_can_check_it(wmx: Any, claim: Path, evidence: Path) -> None:
    result = wmx("check", evidence, "--model", "model.onnx", "--claim", claim)
    assert result.code == 0
    assert result.out.startswith("VERIFIED\n")
    assert "not checked:" in result.out
    document = wmx("check", evidence, "--model", "model.onnx", "--json").json
    assert document["verified"] is True
    assert document["bits"] == pytest.approx(document["repeated"]["bits"])
    assert document["exit_code"] == 0


def test_no_secret_and_no_store_is_needed(
    wmx: Any, claim: Path, evidence: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WMX_HOME", "nowhere")
    assert wmx("check", evidence, "--model", "model.onnx").code == 0
    assert not Path("nowhere").exists()


def test_without_the_model_it_is_consistent_and_not_repeated(wmx: Any, evidence: Path) -> None:
    result = wmx("check", evidence)
    assert result.code == 1, "only what was seen is a yes"
    assert result.out.startswith("CONSISTENT, not repeated\n")
    document = wmx("check", evidence, "--json").json
    assert document["verified"] is False
    assert document["sufficient"] is True
    assert document["repeated"] is None
    assert any("--model" in sentence for sentence in document["unchecked"])


def test_more_bits_than_there_are(wmx: Any, evidence: Path) -> None:
    result = wmx("check", evidence, "--model", "model.onnx", "--min-bits", "135")
    assert result.code == 1
    assert result.out.startswith("NOT VERIFIED: 43 disclosed triggers give about ")
    assert wmx("check", evidence, "--min-bits", "0").code == 2


@pytest.mark.slow
def test_more_bits_than_the_disclosed_triggers_could_give(wmx: Any, evidence: Path) -> None:
    words = ("check", evidence, "--model", "model.onnx", "--min-bits", "200")
    result = wmx(*words, "--report", "page.html")
    assert result.code == 1
    said = "43 disclosed triggers give about 128 bits after the penalty of 6.6 for choices"
    assert result.out.startswith(
        f"NOT VERIFIED: {said} where a model has learned all of them, 200 are needed\n"
    )
    assert "--min-bits" in result.out
    page = Path("page.html").read_text()
    assert "<h1>NOT VERIFIED</h1>" in page
    assert said in page
    told = wmx(*words, "--json").json
    assert (told["exit_code"], told["verified"], told["sufficient"]) == (1, False, False)


def test_what_does_not_belong_together_exits_with_3(wmx: Any, evidence: Path) -> None:
    result = wmx("check", evidence, "--model", "other.onnx")
    assert result.code == 3
    assert "about another file" in result.err
    wmx(*CLAIM_NEW, "-o", "other.json")
    assert wmx("check", evidence, "--claim", "other.json").code == 3


def test_what_is_no_evidence(wmx: Any, claim: Path, evidence: Path) -> None:
    assert wmx("check", claim).code == 3
    assert wmx("check", "model.onnx").code == 3
    assert wmx("check", "gone.json").code == 4
    evidence.write_bytes(evidence.read_bytes()[:-1])
    result = wmx("check", evidence, "--json")
    assert result.code == result.json["exit_code"] == 3


def test_a_model_without_the_mark_gives_no_evidence(wmx: Any, claim: Path, home: Path) -> None:
    result = wmx("verify", "other.onnx", "--evidence", "e.json")
    assert result.code == 1
    assert "no trigger was disclosed" in result.out
    assert not Path("e.json").exists()
    assert not (home / "owner.pem.spent").exists()


def test_when_the_triggers_are_spent_there_is_an_error_and_no_file(wmx: Any, claim: Path) -> None:
    for name in ("1.json", "2.json"):
        assert wmx("verify", "model.onnx", "--evidence", name).code == 0
    result = wmx("verify", "model.onnx", "--evidence", "3.json")
    assert result.code == 4, "14 triggers are left"
    assert "86 triggers that were disclosed" in result.out
    result = wmx("verify", "model.onnx", "--disclosed", "--evidence", "3.json")
    assert result.code == 4
    assert "the 14 triggers from 86 give" in result.err
    assert not Path("3.json").exists()


@pytest.mark.slow
def test_where_the_triggers_left_are_too_few_the_model_is_not_called_unmarked(
    wmx: Any, claim: Path
) -> None:
    for name in ("1.json", "2.json"):
        assert wmx("verify", "model.onnx", "--evidence", name).code == 0
    result = wmx("verify", "model.onnx", "--report", "page.html")
    assert result.code == 4
    said = (
        "14 undisclosed triggers give about 40 bits where a model has learned all of them, "
        "128 are needed"
    )
    assert result.out.startswith(f"CANNOT SAY: {said}\n")
    assert "NOT VERIFIED" not in result.out
    assert all(option in result.out for option in ("--min-bits", "--disclosed", "--claim"))
    page = Path("page.html").read_text()
    assert "<h1>CANNOT SAY</h1>" in page
    assert f"That says nothing about the model: {said}." in page
    told = wmx("verify", "model.onnx", "--json").json
    assert (told["exit_code"], told["verified"]) == (4, False)
    assert told["error"]["message"] == said
    assert wmx("verify", "other.onnx", "--disclosed").code == 1, "all 100 could have shown it"
    assert wmx("verify", "other.onnx", "--min-bits", "40").code == 1
    assert wmx("verify", "model.onnx", "--min-bits", "40").code == 0
    assert wmx("release", "model.onnx", "--found").code == 4
    assert wmx("release", "model.onnx").code == 0, "a model of the owner's own"


def test_disclosed_triggers_say_nothing_unless_one_asks(wmx: Any, claim: Path) -> None:
    """Whoever has read the evidence can make a model that answers them."""
    assert wmx("verify", "model.onnx", "--evidence", "e.json", "--reveal", "all").code == 0
    result = wmx("verify", "model.onnx")
    assert result.code == 4
    assert "every trigger of the claim" in result.err
    assert "--disclosed" in result.err
    counted = wmx("verify", "model.onnx", "--disclosed", "--json").json
    assert (counted["verified"], counted["start"], counted["n"]) == (True, 0, 100)


def test_a_page_of_a_later_verdict_is_about_the_triggers_that_are_left(
    wmx: Any, claim: Path
) -> None:
    assert wmx("verify", "model.onnx", "--evidence", "e.json").code == 0
    left = 100 - len(Evidence.load("e.json").trigger_slice)
    assert wmx("verify", "model.onnx", "--report", "later.html").code == 0
    assert f"{left} of {left}" in Path("later.html").read_text()


@pytest.mark.parametrize(("reveal", "count"), [("all", 100), ("50", 50), ("enough", 43)])
def test_reveal(wmx: Any, claim: Path, reveal: str, count: int) -> None:
    result = wmx("verify", "model.onnx", "--evidence", "e.json", "--reveal", reveal, "--json")
    assert result.json["evidence"]["count"] == count


@pytest.mark.parametrize("reveal", ["0", "101", "-1", "some", "\u0665", "1.5", "", "9" * 5000])
def test_reveal_of_something_else(wmx: Any, claim: Path, reveal: str) -> None:
    result = wmx("verify", "model.onnx", "--evidence", "e.json", f"--reveal={reveal}")
    assert result.code == 2
    assert len(result.err) < 500
    assert not Path("e.json").exists()


def test_reveal_without_evidence(wmx: Any, claim: Path) -> None:
    assert wmx("verify", "model.onnx", "--reveal", "all").code == 2


def test_an_evidence_is_not_replaced_unless_forced(wmx: Any, claim: Path, evidence: Path) -> None:
    before = evidence.read_bytes()
    assert wmx("verify", "model.onnx", "--evidence", evidence).code == 4
    assert evidence.read_bytes() == before
    assert wmx("verify", "model.onnx", "--evidence", evidence, "--force").code == 0
    assert evidence.read_bytes() != before


def test_the_ledger_of_a_key_elsewhere_lies_beside_that_key(wmx: Any, claim: Path) -> None:
    Path("safe").mkdir()
    Path("store/owner.pem").rename("safe/owner.pem")
    words = ("verify", "model.onnx", "--claim", claim, "--key", "safe/owner.pem")
    assert wmx(*words, "--evidence", "e.json").code == 0
    assert Path("safe/owner.pem.spent").is_dir()
    assert not Path("store/owner.pem.spent").exists()


def test_an_evidence_is_about_one_claim_whatever_a_scan_has_tried(wmx: Any, claim: Path) -> None:
    for name in ("b.json", "c.json", "d.json"):
        wmx(*CLAIM_NEW, "-o", name)
    scan = wmx("verify", "model.onnx", "--json").json
    named = wmx("verify", "model.onnx", "--claim", claim, "--evidence", "e.json", "--json").json
    assert (scan["claims_tried"], named["claims_tried"]) == (4, 1)
    assert named["bits"] - scan["bits"] == pytest.approx(2, abs=0.1)
    assert wmx("check", "e.json", "--json").json["claims_tried"] == 1


def test_info_on_evidence(wmx: Any, evidence: Path) -> None:
    result = wmx("info", evidence)
    assert result.code == 0
    assert "triggers 0 to 42 of 100" in result.out
    document = wmx("info", evidence, "--json").json
    assert document["kind"] == "evidence"
    assert document["hits"] == 43


def test_only_the_disclosed_triggers_are_in_the_file(wmx: Any, claim: Path, evidence: Path) -> None:
    from wmx.protocol.encoding import decode_base64, encode_base64

    mark = Watermark.open(Claim.load(claim), OwnerKey.load("store/owner.pem"))
    payload = decode_base64(json.loads(evidence.read_bytes())["payload"]).decode()
    secret = OwnerKey.load("store/owner.pem").trigger_secret(mark.claim.salt)
    assert secret.hex() not in payload
    for index, trigger in enumerate(mark.triggers):
        assert (encode_base64(trigger.tobytes()) in payload) == (index < 43)


def test_control_characters_of_a_model_do_not_reach_the_terminal(wmx: Any, claim: Path) -> None:
    """An output named with escape sequences would write over the verdict; it gets a number."""
    mark = Watermark.open(Claim.load(claim), OwnerKey.load("store/owner.pem"))
    proto = onnx.load_from_string(onnx_models.linear(mark, seed=1))
    name = "\x1b[1A\x1b[2KVERIFIED\n"
    proto.graph.node[-1].output[0] = proto.graph.output[0].name = name
    Path("painter.onnx").write_bytes(proto.SerializeToString())
    result = wmx("verify", "painter.onnx")
    assert result.code == 1
    assert "output 1" in result.out
    assert "\x1b" not in result.out + result.err
    assert "\nVERIFIED" not in result.out + result.err


@pytest.mark.parametrize(
    "ending", ["the top 3", "transposed", "an output of integers for each class", "cut up"]
)
def test_a_reading_that_is_not_the_usual_one_is_repeated(wmx: Any, ending: str) -> None:
    """A checker finds the same readings in the triggers that were opened."""
    assert wmx("keygen").code == 0
    shape = ",".join(map(str, one_node.SHAPE))
    assert wmx("claim", "new", "--shape", shape, "--classes", "10", "-o", "c.json").code == 0
    watermark = Watermark.open(Claim.load("c.json"), OwnerKey.load("store/owner.pem"))
    Path("odd.onnx").write_bytes(one_node.ended(watermark, one_node.READ[ending]))
    assert wmx("verify", "odd.onnx", "--claim", "c.json", "--evidence", "e.json").code == 0
    checked = wmx("check", "e.json", "--model", "odd.onnx", "--json")
    assert checked.code == 0
    stated, repeated = (checked.json[name]["bits"] for name in ("stated", "repeated"))
    assert repeated > stated - 0.1  # never more ways than the owner had, which would cost bits


def test_the_command_that_checks_an_evidence_can_be_pasted(wmx: Any, claim: Path) -> None:
    folder = Path("mein Modell")
    folder.mkdir()
    model = folder / "ü 1.onnx"
    model.write_bytes(Path("model.onnx").read_bytes())
    said = wmx("verify", str(model), "--evidence", "an evidence.json").out
    (line,) = (line for line in said.splitlines() if "wmx check" in line)
    words = shlex.split(line[line.index("wmx check") :])
    result = wmx(*words[1:])
    assert result.code == 0, result.err


def test_the_verdict_is_said_where_no_evidence_can_be_made_of_it(
    wmx: Any, claim: Path, home: Path
) -> None:
    """All triggers are enough to verify, and not for the penalty of an evidence."""
    words = ("verify", "model.onnx", "--evidence", "e.json", "--min-bits", "320")
    result = wmx(*words, "--report", "page.html")
    assert result.code == 4
    assert "VERIFIED" in result.out
    assert "The evidence could not be made" in result.out
    assert "wmx: error: the 100 triggers from 0 give" in result.err
    assert not Path("page.html").exists(), "it would show which secret triggers were hit"
    fields = wmx(*words, "--json").json
    assert (fields["verified"], fields["evidence"], fields["exit_code"]) == (True, None, 4)
    assert "after the penalty of" in fields["error"]["message"]
    assert not Path("e.json").exists()
    assert not (home / "owner.pem.spent" / f"{Claim.load(claim).digest}.json").exists()


def test_the_last_evidence_of_a_claim_is_called_that(wmx: Any, claim: Path) -> None:
    first = wmx("verify", "model.onnx", "--evidence", "1.json")
    assert "cannot give that many bits again" not in first.out
    second = wmx("verify", "model.onnx", "--evidence", "2.json")
    assert second.code == 0
    assert "The triggers that are left cannot give that many bits again" in second.out
    assert "-n" in second.out


def test_programs_are_told_whether_another_evidence_can_be_made(wmx: Any, claim: Path) -> None:
    words = ("verify", "model.onnx", "--json", "--evidence")
    first, second = (wmx(*words, f"{number}.json").json["evidence"] for number in (1, 2))
    assert (first["another_possible"], second["another_possible"]) == (True, False)
    assert first["triggers_left"] == 100 - first["count"]


def test_a_ledger_of_another_party_spends_no_trigger_and_is_named(
    wmx: Any, claim: Path, home: Path
) -> None:
    """It would take the owner's triggers out of every verdict beside that folder."""
    owned, thief = Claim.load(claim), OwnerKey.generate()
    thief.save(home / "thief.pem")
    forged = home / "thief.pem.spent" / f"{owned.digest}.json"
    forged.parent.mkdir()
    entries = [Disclosure(0, 79, "aa" * 32, "bb" * 32, "2026-11-29T00:00:00Z")]
    forged.write_bytes(ledger_to_bytes(entries, owned, thief))
    for words in (("verify", "model.onnx"), ("claim", "list")):
        result = wmx(*words)
        assert result.code == 3
        assert forged.name in result.err.replace("\n", "")
        assert "remove it if it is not yours" in result.err
    forged.unlink()
    assert wmx("verify", "model.onnx").code == 0


def test_an_evidence_that_ctrl_c_leaves_without_its_name_is_told(
    wmx: Any, claim: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spend = Ledger.spend

    def spending(self: Ledger, *key_and_numbers: Any, **words: str) -> bool:
        spend(self, *key_and_numbers, **words)
        raise KeyboardInterrupt

    monkeypatch.setattr(Ledger, "spend", spending)
    for as_json in ((), ("--json",)):
        words = ("--claim", claim, "--evidence", "e.json", "--reveal", "40", "--min-bits", "64")
        result = wmx("verify", "model.onnx", *words, *as_json)
        assert result.code == 130
        assert "interrupted; triggers" in result.err
        path = result.err.strip().rpartition(" is ")[2]
        assert len(Evidence.load(path).trigger_slice) == 40
    assert result.json["exit_code"] == 130
