"""8-bit quantization.  Threat: the file, for static ranges some unlabeled inputs; seconds.

Source: Jacob et al., *Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference*, CVPR 2018, as onnxruntime implements it.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wmx.attacks.attack import Attack, Outcome, Progress, Target
from wmx.attacks.graph.rewriting import load_graph
from wmx.suspect.onnx_file import OnnxFile
from wmx.training.export import exporting

CALIBRATION_BATCH = 50
SOURCE = "Jacob et al., CVPR 2018, by onnxruntime.quantization"


@dataclass(frozen=True)
class DynamicQuantization(Attack):
    """Quantize weights to int8; activation ranges are computed for every input."""

    needs = "file"
    threat = "has the file; no data, no queries, seconds"
    source = SOURCE

    def run(self, target: Target, folder: Path, progress: Progress) -> Iterable[Outcome]:
        """Quantize the file."""
        from onnxruntime.quantization import QuantType, quantize_dynamic

        path = _quantized(
            target, folder, lambda m, p: quantize_dynamic(m, p, weight_type=QuantType.QUInt8)
        )
        yield target.outcome(OnnxFile.open_own(path, "cpu"))


@dataclass(frozen=True)
class StaticQuantization(Attack):
    """Quantize weights and activations to int8 (QDQ), with fixed activation ranges.

    Attributes:
        samples: number of the attacker's inputs for calibrating the ranges.
    """

    samples: int = 500

    needs = "file"
    threat = "has the file and some unlabeled inputs; no queries, seconds"
    source = SOURCE

    def run(self, target: Target, folder: Path, progress: Progress) -> Iterable[Outcome]:
        """Quantize the file."""
        from onnxruntime.quantization import quantize_static

        path = _quantized(
            target,
            folder,
            lambda m, p: quantize_static(
                m, p, _calibration(target, self.samples), per_channel=True
            ),
        )
        yield target.outcome(OnnxFile.open_own(path, "cpu"))


def _quantized(target: Target, folder: Path, quantize: Callable[[Any, Path], Any]) -> Path:
    model = load_graph(target.model, target.weights)
    # exporters leave outdated shapes of transposed weights, on which the quantizer fails
    del model.graph.value_info[:]
    path = folder / "int8.onnx"
    with exporting("onnxruntime's quantizer", "some operators have no int8 form"):
        quantize(model, path)
    return path


def _calibration(target: Target, samples: int) -> Any:
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._batches = batches()

        def get_next(self) -> dict[str, Any] | None:
            return next(self._batches, None)

    def batches() -> Iterator[dict[str, Any]]:
        feeding = target.opened().feedings(target.task)[0]
        inputs = target.data.x_train[:samples]
        for at in range(0, len(inputs), feeding.batch or CALIBRATION_BATCH):
            part = inputs[at : at + (feeding.batch or CALIBRATION_BATCH)]
            if feeding.batch in (None, len(part)):
                yield feeding.fed(part, target.task)

    return Reader()
