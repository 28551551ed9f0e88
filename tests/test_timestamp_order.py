"""Strangers' timestamps push no other one out, in whatever order the owner's commands come."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from support.tsa import Authority, moved_by

from wmx import OwnerKey, Watermark
from wmx.protocol.claim import Claim
from wmx.protocol.stamped import MAX_TIMESTAMPS
from wmx.protocol.timestamp import Roots, load_roots
from wmx.protocol.timestamp_order import within_limit
from wmx.verification.store import Store

CLAIM = Watermark.new(OwnerKey.generate(), shape=(8, 8, 1), classes=10).claim
HOUR = timedelta(hours=1)


class Stamps(NamedTuple):
    """Timestamps of :data:`CLAIM`: of a stranger's authority, and of two that are trusted."""

    junk: list[bytes]
    late: list[bytes]  # by a trusted authority, anybody can have them made
    real: bytes
    other: bytes
    asked_for: bytes  # by an authority that nobody here trusts
    roots: Roots


@pytest.fixture(scope="module")
def stamps(tmp_path_factory: pytest.TempPathFactory) -> Stamps:
    folder = tmp_path_factory.mktemp("authorities")
    one, other, stranger, third = (Authority(folder / name, name) for name in "abcd")

    def by(authority: Authority, hours: float) -> bytes:
        change = moved_by(hours * HOUR)
        return authority.stamp_as(CLAIM.envelope.signature, "tsa", change=change)

    return Stamps(
        junk=[by(stranger, -hours) for hours in range(1, MAX_TIMESTAMPS + 1)],
        late=[by(one, -1) for _ in range(MAX_TIMESTAMPS)],
        real=by(one, -5),
        other=by(other, -2),
        asked_for=by(third, -3),
        roots=[*load_roots(one.roots), *load_roots(other.roots)],
    )


@pytest.fixture
def store(tmp_path: Path, stamps: Stamps) -> Store:
    """A store that trusts the two authorities."""
    from cryptography.hazmat.primitives.serialization import Encoding

    (tmp_path / "store" / "roots").mkdir(parents=True)
    pem = b"".join(root.public_bytes(Encoding.PEM) for root in stamps.roots)
    (tmp_path / "store" / "roots" / "roots.pem").write_bytes(pem)
    return Store(tmp_path / "store")


def bearing(*responses: bytes) -> Claim:
    return replace(CLAIM, timestamps=responses)


def test_what_fits_stays_in_its_order(stamps: Stamps) -> None:
    full = bearing(*stamps.junk[1:], stamps.real)
    assert within_limit(full, stamps.roots) == full
    assert within_limit(full, stamps.roots, [stamps.real]).timestamps == (
        stamps.real,
        *stamps.junk[1:],
    )


def test_the_earliest_trusted_one_of_each_authority_comes_first(stamps: Stamps) -> None:
    many = bearing(*stamps.junk, *stamps.late, stamps.other, stamps.real)
    assert within_limit(many, stamps.roots).timestamps == (
        stamps.real,
        stamps.other,
        *stamps.junk[:14],
    )
    asked = within_limit(many, stamps.roots, [stamps.asked_for]).timestamps
    assert asked[:3] == (stamps.asked_for, stamps.real, stamps.other)
    assert within_limit(many, ()).timestamps == tuple(stamps.junk)


@pytest.mark.parametrize("seed", range(12))
def test_no_order_of_commands_loses_a_timestamp_to_strangers(
    store: Store, stamps: Stamps, seed: int
) -> None:
    junk, late = bearing(*stamps.junk), bearing(*stamps.late)
    steps = [
        lambda: store.add(junk),
        lambda: store.add(late),
        lambda: store.keep_timestamps(junk),
        lambda: store.keep_timestamps(late),
        lambda: store.keep_timestamps(bearing(*stamps.junk[1:], stamps.real)),
        lambda: store.keep_timestamps(bearing(stamps.other, *stamps.junk[1:])),
        lambda: store.keep_asked_for(CLAIM, stamps.asked_for),
    ]
    order = np.random.default_rng(seed).permutation(len(steps))
    store.add(bearing(*(stamps.junk if seed % 2 else [])))
    for step in order:
        steps[step]()
    (kept,) = store.claims()
    assert {stamps.real, stamps.other, stamps.asked_for} <= set(kept.timestamps)
    assert len(kept.timestamps) == MAX_TIMESTAMPS


def test_a_full_copy_hides_no_date_of_the_file_and_none_that_is_signed(
    store: Store, stamps: Stamps
) -> None:
    store.add(bearing(*stamps.junk))
    read = store.dated(bearing(stamps.real))
    assert read.timestamps == (*stamps.junk, stamps.real)
    assert store.within_limit(read).timestamps == (stamps.real, *stamps.junk[:15])


def test_what_is_no_timestamp_does_not_enter_the_store(store: Store, stamps: Stamps) -> None:
    store.add(bearing(b"junk", stamps.real))
    (kept,) = store.claims()
    assert kept.timestamps == (stamps.real,)
    assert store.holds(bearing(b"more junk", stamps.real))
    assert not store.holds(bearing(stamps.other))
    assert not store.holds(Watermark.new(OwnerKey.generate(), shape=(8, 8, 1), classes=10).claim)
