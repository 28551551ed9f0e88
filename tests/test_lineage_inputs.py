"""Lineage: which inputs are drawn."""

import hashlib

import numpy as np
import pytest

from wmx.disputes.lineage_inputs import Scope, draw, family_names
from wmx.protocol.task import Task

PICTURES = Task.of((9, 12, 3), 5)
DIMMED = Task.of((9, 12, 3), 5, mean=(0.2, 0.4, 0.6), std=0.1)
TABLE = Task.of((4,), 5, kind="features")
TEXT = Task.of((6,), 5, kind="tokens")


@pytest.mark.parametrize("task", [PICTURES, TABLE, TEXT])
def test_inputs_are_the_same_everywhere_and_hang_on_the_seed_alone(task: Task) -> None:
    known = [np.arange(4 * int(np.prod(task.shape))).reshape(4, *task.shape)]
    scope = Scope.of([task], known)
    first = draw(bytes(32), 0, 8, scope)
    assert first.shape == (8, *task.shape)
    assert first.dtype == {"image": np.uint8, "features": np.float32, "tokens": np.int32}[task.kind]
    assert (draw(bytes(32), 3, 5, scope) == first[3:]).all()
    assert not (draw(b"\1" * 32, 0, 8, scope) == first).all()
    assert len(np.unique(first.reshape(8, -1), axis=0)) == 8


def test_these_inputs_never_change() -> None:
    """Another machine, and another version, has to ask the same; the digests are a vector."""
    table = [np.array([[-1.5, 0, 2, 7], [3, 0.25, 2, 9]], np.float32)]
    text = [np.array([[5, 6, 7, 8, 9, 1000]], np.int32)]
    found = {
        scope.task.kind: hashlib.sha256(
            draw(bytes(range(32)), 0, 16, scope).astype(f">{dtype}").tobytes()
        ).hexdigest()
        for scope, dtype in (
            (Scope.of([PICTURES, DIMMED], []), "u1"),
            (Scope.of([TABLE], table), "f4"),
            (Scope.of([TEXT], text), "i4"),
        )
    }
    assert found == VECTOR


VECTOR = {
    "image": "bdde4c4a76f1720a4e408affdf9d607f28f0bd2310033f9549f1aaa1ae13bc36",
    "features": "51d7a584d289b5ad29c4ab89e52ddf63ae67555bc62f91348881326d867545c3",
    "tokens": "a1e8fe97877816dd95a06796e4fc4c1156e70a88a2f283235079824044fa072c",
}


def test_pictures_are_of_four_kinds() -> None:
    drawn = draw(bytes(32), 0, 800, Scope.of([DIMMED], [])).astype(int)
    drawn = drawn.reshape(-1, 2, 4, 9, 12, 3)[:, 0].reshape(-1, 9, 12, 3)  # of all contrast
    steps = np.abs(np.diff(drawn, axis=2)).mean(axis=(1, 2, 3))
    kinds = [steps[number::4].mean() for number in range(4)]
    assert family_names(PICTURES) == ["pixels", "cells", "smooth", "mixed"]
    assert kinds[0] == pytest.approx(85, abs=5)  # of two uniform bytes
    assert kinds[2] < kinds[3] < kinds[0]
    assert drawn.min() == 0
    assert drawn.max() == 255


def test_every_other_picture_has_the_contrast_of_the_claims() -> None:
    drawn = draw(bytes(32), 0, 800, Scope.of([DIMMED], [])).astype(int)
    pixels = drawn.reshape(-1, 2, 4, 9, 12, 3)[:, :, 0]  # every pixel by itself
    assert pixels[:, 0].mean(axis=(0, 1, 2)) == pytest.approx([127.5] * 3, abs=3)
    assert pixels[:, 0].std() == pytest.approx(74, abs=2)
    assert pixels[:, 1].mean(axis=(0, 1, 2)) == pytest.approx([51, 102, 153], abs=3)
    assert pixels[:, 1].std(axis=(0, 1, 2)) == pytest.approx([12.75] * 3, abs=1)
    both = draw(bytes(32), 0, 24, Scope.of([DIMMED, PICTURES], []))
    assert (both == draw(bytes(32), 0, 24, Scope.of([PICTURES, DIMMED, PICTURES], []))).all()
    odd = Task.of((9, 12, 3), 5, mean=-(10**19), std=10**19)  # whatever a claim may say
    assert draw(bytes(32), 0, 8, Scope.of([odd], [])).shape == (8, 9, 12, 3)


def test_features_and_tokens_stay_between_what_is_known() -> None:
    known = np.array([[-1.5, 0, 2, 7], [3, 0.25, 2, 9]], np.float32)
    drawn = draw(bytes(32), 0, 200, Scope.of([TABLE], [known[:1], known[1:]]))
    inside, beyond = drawn[::2], drawn[1::2]
    assert (inside >= known.min(axis=0)).all()
    assert (inside <= known.max(axis=0)).all()
    assert -1.5 - 2.25 <= beyond[:, 0].min() < -1.5
    assert 3 < beyond[:, 0].max() <= 3 + 2.25
    assert set(inside[:, 2]) == set(beyond[:, 2]) == {2.0}  # what never changes does not here
    scope = Scope.of([TEXT], [np.array([[3] * 6]), np.array([[90] * 6])])
    tokens = draw(bytes(32), 0, 200, scope)
    assert (tokens.min(), tokens.max()) == (3, 90)
