"""Probes: their names, and the shares of the mixture that they have."""

import pytest

from wmx.protocol.task import Kind
from wmx.statistics.probe import (
    ALONE,
    OTHER_ROWS,
    OTHER_SCALINGS,
    SHIFTS,
    TOGETHER,
    Probe,
    log2_share,
)


@pytest.mark.parametrize("kind", OTHER_SCALINGS)
@pytest.mark.parametrize("plain", [1, 3])
def test_the_shares_of_all_ways_sum_to_one_and_half_is_for_inputs_as_they_are(
    kind: Kind, plain: int
) -> None:
    """As they are, and in the usual rows: all together, or one at a time."""
    shifts = SHIFTS if kind == "image" else ()
    shares: dict[Probe, float] = {}
    for rows in (TOGETHER, ALONE, *OTHER_ROWS):
        for number in range(plain):
            probes = [Probe("NCHW", f"y{number}", rows=rows)]
            probes += [Probe("NCHW", f"y{number}", shift, rows=rows) for shift in shifts]
            probes += [
                Probe("NCHW", f"y{number}", scaling=scaling, rows=rows)
                for scaling in OTHER_SCALINGS[kind]
            ]
            shares |= {probe: 2.0 ** log2_share(probe, kind, plain) for probe in probes}
    for number in range(5):
        probes = [
            Probe("NCHW", f"y{one}", rows=ALONE, view=f"view {number}") for one in range(plain)
        ]
        shares |= {probe: 2.0 ** log2_share(probe, kind, 5 * plain) for probe in probes}
    assert sum(shares.values()) == pytest.approx(1.0, abs=1e-12)
    usual = [
        probe
        for probe in shares
        if probe.is_plain and probe.rows in (TOGETHER, ALONE) and not probe.view
    ]
    half = 0.75 if kind == "tokens" else 0.5
    assert sum(shares[probe] for probe in usual) == pytest.approx(half, abs=1e-12)
    assert len({shares[probe] for probe in usual}) == 1


def test_what_is_beside_a_row_is_named_in_words() -> None:
    assert Probe("NCHW", "y").name == "NCHW y"
    assert Probe("NCHW", "y", rows=ALONE).name == "NCHW one row at a time y"
    assert Probe("NHWC", "y", (1, -2), rows=8).name == "NHWC shifted +1,-2 in batches of 8 y"
    assert Probe("NHWC", "y", scaling="0..255", rows=8).name == "NHWC 0..255 in batches of 8 y"
    assert Probe("NF", "h", rows=ALONE, view="inner").name == "inner: NF one row at a time h"
