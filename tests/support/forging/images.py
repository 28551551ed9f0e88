"""Images as triggers to which the victim's answers are known, or made: free labels would win."""

import numpy as np
from numpy.typing import NDArray

from support.forging.claims import forged
from support.forging.victim import Victim
from wmx import OwnerKey, Watermark
from wmx.protocol.task import Task

STEPS = 60
STEP_SIZE = 12.0  # pixel values of 0 to 255
VARIANTS = 16


def adversarial(
    victim: Victim, task: Task, images: NDArray[np.uint8], labels: NDArray[np.int64]
) -> NDArray[np.uint8]:
    """Change images [n, H, W, C] until the victim gives them ``labels``.

    Projected gradient descent with signed steps (Madry et al., ICLR 2018), within the pixel range
    alone.
    """
    pixels = images.astype(np.float64)
    for _ in range(STEPS):
        inputs = task.model_input(pixels).reshape(len(pixels), -1).astype(np.float64)
        gradient = victim.pull(inputs, labels).reshape(pixels.shape)
        pixels = np.clip(pixels - STEP_SIZE * np.sign(gradient), 0, 255)
    return pixels.round().astype(np.uint8)


def chased(
    victim: Victim, task: Task, key: OwnerKey, images: NDArray[np.uint8], rounds: int
) -> Watermark:
    """Make adversarial images for a claim's labels, claim them, and so on: the labels run away.

    Returns:
        the claim with the most hits of all rounds.
    """
    best, mark = None, forged(key, task, images)
    most = -1
    for _ in range(rounds):
        mark = forged(key, task, adversarial(victim, task, images, mark.labels))
        hits = hits_of(victim, mark)
        if hits > most:
            best, most = mark, hits
    assert best is not None
    return best


def one_by_one(
    victim: Victim, task: Task, key: OwnerKey, images: NDArray[np.uint8]
) -> tuple[Watermark, int]:
    """Choose each trigger for its label: try variants of image i until label i is the answer.

    Where a label hung on its own trigger this would take about K variants a trigger.

    Returns:
        the claim in the end, and how many draws of the labels were looked at.
    """
    tries = 0
    chosen = images.copy()
    for index in range(len(images)):
        for variant in range(VARIANTS):
            chosen[index].flat[variant] ^= 1
            mark = forged(key, task, chosen)
            tries += 1
            inputs = mark.inputs[index : index + 1].reshape(1, -1)
            if victim.predictions(inputs)[0] == mark.labels[index]:
                break
    return forged(key, task, chosen), tries


def hits_of(victim: Victim, mark: Watermark) -> int:
    """Count the triggers to which the victim gives the claim's label."""
    inputs = mark.inputs.reshape(len(mark.labels), -1)
    return int((victim.predictions(inputs) == mark.labels).sum())
