"""A network of ResNet-18's size, for what must be measured on large images."""

import torch
from torch import nn

FEATURES = 512
WIDTHS = (64, 64, 128, 128, 256, 256, 512, 512)


class Block(nn.Module):
    """Two convolutions beside a shortcut."""

    def __init__(self, into: int, out: int) -> None:
        super().__init__()
        stride = 1 if into == out else 2
        self.body = nn.Sequential(
            nn.Conv2d(into, out, 3, stride, 1, bias=False),
            nn.BatchNorm2d(out),
            nn.ReLU(),
            nn.Conv2d(out, out, 3, 1, 1, bias=False),
            nn.BatchNorm2d(out),
        )
        same = into == out
        self.shortcut = nn.Identity() if same else nn.Conv2d(into, out, 1, stride, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return [n, out, H / stride, W / stride]."""
        return torch.relu(self.body(x) + self.shortcut(x))


def features() -> nn.Sequential:
    """Return layers from images [n, 3, H, W] to features [n, 512]."""
    return nn.Sequential(
        nn.Conv2d(3, 64, 7, 2, 3, bias=False),
        nn.BatchNorm2d(64),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, 1),
        *(Block(into, out) for into, out in zip((64, *WIDTHS), WIDTHS, strict=False)),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    )
