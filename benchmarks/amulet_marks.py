"""Train and mark a network with amulet, as its own example does.  Runs in amulet's environment.

The network is wmx's ``cnn``; data come in an ``.npz`` and weights, triggers and figures go out in
two more.  ``rival.py`` calls it.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from amulet.unauth_model_ownership.defenses import WatermarkNN
from amulet.utils import get_accuracy, train_classifier
from torch.utils.data import DataLoader, TensorDataset

from wmx_torch._training.models import cnn

LR = 1e-3


def loader(arrays: dict[str, np.ndarray], part: str, batch_size: int) -> DataLoader:
    """Return a part of the data, pixels 0 to 1 as amulet's own loaders give them."""
    images = torch.from_numpy(arrays[f"x_{part}"]).permute(0, 3, 1, 2).float() / 255
    labels = torch.from_numpy(arrays[f"y_{part}"])
    return DataLoader(TensorDataset(images, labels), batch_size=batch_size, shuffle=part == "train")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("triggers", type=Path, help="amulet's trigger set, with labels.csv")
    parser.add_argument("out", type=Path)
    parser.add_argument("--epochs", type=int, required=True, help="half before marking")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--mended", action="store_true", help="triggers in pixels 0 to 1 too")
    arguments = parser.parse_args()
    torch.manual_seed(arguments.seed)
    np.random.seed(arguments.seed)  # noqa: NPY002 - amulet draws from it
    arrays = dict(np.load(arguments.data))
    train = loader(arrays, "train", arguments.batch_size)
    test = loader(arrays, "test", arguments.batch_size)
    shape = arrays["x_train"].shape[1:]
    model = cnn(input_shape=shape, num_classes=10)
    criterion = torch.nn.CrossEntropyLoss()
    half = arguments.epochs // 2
    optimizer = torch.optim.Adam(model.parameters(), lr=LR)
    model = train_classifier(model, train, criterion, optimizer, half, "cpu")
    before = get_accuracy(model, test, "cpu")
    rival = WatermarkNN(
        model,
        criterion,
        torch.optim.Adam(model.parameters(), lr=LR),
        train,
        "cpu",
        arguments.triggers,
        gray=shape[-1] == 1,
        num_classes=10,
        epochs=arguments.epochs - half,
        batch_size=arguments.batch_size,
    )
    if arguments.mended:
        ((images, labels),) = rival.wm_loader
        rival.wm_loader = DataLoader(TensorDataset(images / 255, labels), len(labels))
    model = rival.watermark()
    batches = list(rival.wm_loader)
    np.savez(
        arguments.out,
        accuracy_before=before,
        accuracy_after=get_accuracy(model, test, "cpu"),
        verified=rival.verify(model),
        triggers=torch.cat([images for images, _ in batches]).numpy(),
        labels=torch.cat([labels for _, labels in batches]).numpy(),
        **{f"weights/{name}": value.numpy() for name, value in model.state_dict().items()},
    )


if __name__ == "__main__":
    main()
