"""PyTorch networks for inputs that are no images, for ``--model support.kinds:NAME``."""

import warnings
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import BertConfig, BertForSequenceClassification

from wmx.protocol.task import Task
from wmx_torch._training.weights import load_pretrained

VOCABULARY = 256


class Letters(nn.Module):
    """A small BERT; what is padding is masked."""

    def __init__(self, length: int, classes: int) -> None:
        super().__init__()
        self.bert = BertForSequenceClassification(
            BertConfig(
                vocab_size=VOCABULARY,
                hidden_size=64,
                num_hidden_layers=2,
                num_attention_heads=4,
                intermediate_size=128,
                max_position_embeddings=length,
                num_labels=classes,
            )
        )

    def forward(self, tokens: Tensor) -> Tensor:
        logits: Tensor = self.bert(tokens, attention_mask=(tokens != 0).long()).logits
        return logits


def letters(*, input_shape: Sequence[int], num_classes: int) -> nn.Module:
    return Letters(input_shape[0], num_classes)


class Series(nn.Module):
    """Convolutions along time."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.channels = channels
        self.layers = nn.Sequential(
            nn.Conv1d(channels, 32, 5, padding=2),
            nn.BatchNorm1d(32),
            nn.ReLU(),
            nn.Conv1d(32, 64, 5, padding=2),
            nn.BatchNorm1d(64),
            nn.ReLU(),
            nn.Flatten(),
            nn.LazyLinear(classes),
        )

    def forward(self, rows: Tensor) -> Tensor:
        logits: Tensor = self.layers(rows.unflatten(1, (self.channels, -1)))
        return logits


def _series(channels: int, features: int, classes: int) -> nn.Module:
    network = Series(channels, classes).eval()
    network(torch.zeros(2, features))  # sizes the last layer
    return network


def power(*, input_shape: Sequence[int], num_classes: int) -> nn.Module:
    return _series(1, input_shape[0], num_classes)


def vowels(*, input_shape: Sequence[int], num_classes: int) -> nn.Module:
    return _series(12, input_shape[0], num_classes)


def export_as_usual(weights: Path, task: Task, path: Path) -> None:
    """Write a trained ``letters`` as transformers are exported: ids, mask and types as inputs."""
    length = task.shape[0]
    network = Letters(length, task.classes)
    load_pretrained(weights, network)
    names = ("input_ids", "attention_mask", "token_type_ids")
    # three tensors, not one three times: the exporter would take them for the same input
    examples = {name: torch.ones(2, length, dtype=torch.int64) for name in names}
    network.bert.config.return_dict = False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's, about PyTorch's own future
        torch.onnx.export(
            network.bert.eval(),
            (),
            path,
            kwargs=examples,
            input_names=names,
            output_names=("logits",),
            dynamic_shapes={name: {0: torch.export.Dim("batch")} for name in names},
            dynamo=True,
            verbose=False,
        )
