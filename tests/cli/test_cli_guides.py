"""The guides in which somebody else plays a part: their commands, with that part played."""

import shlex
import shutil
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import documents
import numpy as np
import pytest
from support import oip_server, tsa
from support.disputed_models import marked, network, side
from test_cli_suspects import FUNCTION

from wmx import Watermark

API, JUDGE = documents.PLAYED
MINE, THEIRS = 1, 2  # which networks the models are


def damaged(watermark: Watermark, hits: int) -> Any:
    """Return what a thief left of a mark: triggers, and answers of which only some are labels."""
    labels = watermark.labels.copy()
    missed = np.random.default_rng(0).permutation(len(labels))[hits:]
    labels[missed] = (labels[missed] + 1 + np.arange(len(missed)) % 9) % 10
    return SimpleNamespace(inputs=watermark.inputs, labels=labels)


def test_the_commands_of_the_guide_to_an_api(
    wmx: Any, claim: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("out").mkdir()
    shutil.copy(claim, "out/claim.json")
    Path("token").write_text("letmein\n")
    Path("my_client.py").write_text(f"{FUNCTION}\nask = knows\n")
    monkeypatch.syspath_prepend(Path.cwd())
    with oip_server.serving(Path("model.onnx").read_bytes(), token="letmein") as server:
        for line in documents.commands(documents.page(API)):
            address = "https://models.example.org/v2/models/digits"
            result = wmx(*shlex.split(line.replace(address, server.url))[1:])
            assert result.code == 0, line
            assert result.out.startswith("VERIFIED")


@pytest.mark.slow
@pytest.mark.parametrize("hits", [100, 75])
def test_the_commands_of_the_guide_to_a_judge(
    hits: int,
    wmx: Any,
    home: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    later = f"{datetime.now(UTC) + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}"
    mine, theirs = side(Path(), "mine", MINE), side(Path(), "theirs", THEIRS, later)
    home.mkdir()
    shutil.copy(mine.key_path, home / "owner.pem")
    suspect = marked(network(MINE), damaged(mine.watermark, hits), theirs.watermark)
    Path("suspect.onnx").write_bytes(suspect)
    authority = tsa.Authority(tmp_path_factory.mktemp("tsa"))
    authority.state_accuracy("millisecs:1")
    shutil.copy(authority.roots, "tsa.pem")

    with tsa.serving(authority) as url:

        def run(line: str) -> Any:
            result = wmx(*shlex.split(line.replace("https://tsa.example/tsr", url))[1:])
            assert result.code == 0, f"{line}: {result.err}{result.out}"
            time.sleep(1.1)  # stamps are to the second
            return result

        release, found, dispute, evidence = documents.commands(documents.page(JUDGE))
        run(release)
        run(found)
        as_them = "--claim theirs.json --key theirs.pem"
        with monkeypatch.context() as patch:  # they work an hour later
            patch.setattr("wmx.protocol.release_record.now_text", lambda: later)
            run(f"wmx release theirs.onnx {as_them} --tsa {url}")
        run(f"wmx verify suspect.onnx {as_them} --evidence theirs.evidence.json --reveal 46")
        assert run(dispute).out.startswith("NAMED: mine.json")
        run(evidence)
        by_evidence = dispute.replace(
            "--evidence theirs", "--evidence mine.evidence.json --evidence theirs"
        )
        (home / "owner.pem").unlink()  # the judge holds no key
        assert run(by_evidence).out.startswith("NAMED: mine")
