"""Two processes train one model, by hand and under accelerate: share, passes, replicas, mark."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from support.fixed import OWNER, fixed_watermark
from two_processes import digits

from wmx import Watermark, verify

SCRIPT = Path(__file__).with_name("two_processes.py")
LIMIT = 600  # seconds; only processes that wait for each other take so long


@pytest.fixture
def watermark(tmp_path: Path) -> Watermark:
    """Its claim and key lie in files, as several processes need them."""
    watermark = fixed_watermark()
    OWNER.save(tmp_path / "key.pem")
    watermark.claim.save(tmp_path / "claim.json")
    return watermark


def run(scenario: str, folder: Path) -> list[dict[str, np.ndarray]]:
    """Start both processes; return what each has saved."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2"}
    common |= {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    started = []
    for rank in ("0", "1"):
        with (folder / f"{rank}.log").open("wb") as log:
            started.append(
                subprocess.Popen(
                    [sys.executable, SCRIPT, scenario, folder],
                    env=os.environ | common | {"RANK": rank, "LOCAL_RANK": rank},
                    stdout=log,
                    stderr=subprocess.STDOUT,
                )
            )
    end = time.monotonic() + LIMIT
    try:
        codes = [process.wait(max(1.0, end - time.monotonic())) for process in started]
    finally:
        for process in started:
            process.kill()
            process.wait()
    logs = "\n".join((folder / f"{rank}.log").read_text() for rank in (0, 1))
    assert codes == [0, 0], logs
    return [dict(np.load(folder / f"{rank}.npz", allow_pickle=False)) for rank in (0, 1)]


def global_batches(saved: list[dict[str, np.ndarray]], key: str = "seen") -> np.ndarray:
    """The triggers of both processes' batches, side by side: [batches, k]."""
    return np.concatenate([one[key] for one in saved], axis=1)


def require_passes(row: Sequence[int], n: int = 100) -> None:
    """Every trigger comes once before any comes again."""
    assert len(row) >= n
    for start in range(0, len(row) - n + 1, n):
        assert sorted(row[start : start + n]) == list(range(n))


def test_distributed_data_parallel(tmp_path: Path, watermark: Watermark) -> None:
    saved = run("ddp", tmp_path)
    shown = global_batches(saved)
    assert shown.shape == (9 * 18, 4)  # 4 triggers to 100 rows
    require_passes(shown.flatten())
    for one in saved:  # set_epoch reached the sampler: another order every time
        assert len(np.unique(one["first_rows"], axis=0)) == 9
    np.testing.assert_array_equal(saved[0]["weights"], saved[1]["weights"])
    assert min(int(one["hits"]) for one in saved) >= 95
    assert verify(tmp_path / "model.onnx", watermark).hits >= 95


@pytest.mark.slow
def test_processes_with_data_of_their_own(tmp_path: Path, watermark: Watermark) -> None:
    saved = run("by_hand", tmp_path)
    assert [one["seen"].shape for one in saved] == [(44, 2), (44, 1)]  # 2 % of 150 rows are 3
    require_passes(global_batches(saved).flatten())
    streams = [one["stream"][one["stream"] >= 0].tolist() for one in saved]
    assert [len(set(stream)) for stream in streams] == [34, 34]
    assert streams[0] != streams[1]
    for one in saved:
        assert "the processes embed different claims" in str(one["error"])


@pytest.mark.slow
def test_accelerate(tmp_path: Path, watermark: Watermark) -> None:
    saved = run("accelerate", tmp_path)
    shown = global_batches(saved).reshape(9, 18, 4)
    assert [one["steps"].tolist() for one in saved] == [[81, 81]] * 2
    # the last round is the second process' own batch filled up from the first: it comes again
    require_passes(shown[:, :17].flatten())
    np.testing.assert_array_equal(saved[0]["weights"], saved[1]["weights"])
    assert verify(tmp_path / "model.onnx", watermark).hits >= 90


@pytest.mark.slow
def test_every_way_in_which_accelerate_deals_batches_out(
    tmp_path: Path, watermark: Watermark
) -> None:
    saved = run("dealt_out", tmp_path)

    def shown(mode: str) -> tuple[list[list[int]], list[list[int]]]:
        """The triggers in each batch of each process."""
        counts = [sum(key.startswith(f"{mode}.") for key in one) for one in saved]
        first, second = (
            [[number for number in one[f"{mode}.{i}"] if number >= 0] for i in range(count)]
            for one, count in zip(saved, counts, strict=True)
        )
        return first, second

    for mode, per_process in {"whole": 75, "seedable": 75, "uneven": 75, "split": 50}.items():
        first, second = shown(mode)
        assert {len(batch) for batch in first} == {2 if per_process == 75 else 1}
        assert {len(batch) for batch in second} == {1}  # 2 % of 150 are 3
        require_passes([number for a, b in zip(first, second, strict=True) for number in a + b])
        dealt = np.concatenate([one[f"{mode} digits"] for one in saved])
        assert len(distinct(dealt)) == len(distinct(digits(1730).tensors[0].numpy()))

    # one process makes the batches for both; the short last one cannot be shared evenly
    rounds = [a + b for a, b in zip(*shown("dispatched"), strict=True)]
    assert {len(both) for both in rounds[:17]} == {2}
    require_passes(
        [number for epoch in (0, 18, 36) for both in rounds[epoch : epoch + 17] for number in both]
    )

    for mode in ("stream", "sharded stream"):
        first, second = shown(mode)
        both = [number for batch in first[:17] + second[:17] for number in batch]
        assert len(both) == len(set(both)) == 33

    for one in saved:
        assert len(one["refused"]) == 2
        assert all("accelerator.prepare(watermarked(loader" in error for error in one["refused"])


def distinct(rows: np.ndarray) -> np.ndarray:
    return np.unique(rows.reshape(len(rows), -1), axis=0)
