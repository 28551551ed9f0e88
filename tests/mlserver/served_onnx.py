"""What MLServer runs in these tests: an ONNX file in onnxruntime, through MLServer's own codecs."""

from typing import Any

import onnxruntime
from mlserver import MLModel
from mlserver.codecs import NumpyCodec, StringCodec
from mlserver.types import InferenceRequest, InferenceResponse


class Onnx(MLModel):  # type: ignore[misc]
    """A runtime; ``parameters.uri`` of the model's settings is the file."""

    async def load(self) -> bool:
        self._session = onnxruntime.InferenceSession(
            self.settings.parameters.uri, providers=["CPUExecutionProvider"]
        )
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        fed = {one.name: NumpyCodec.decode_input(one) for one in payload.inputs}
        names = [port.name for port in self._session.get_outputs()]
        found = zip(names, self._session.run(names, fed), strict=True)
        return InferenceResponse(
            model_name=self.name, outputs=[encoded(name, array) for name, array in found]
        )


def encoded(name: str, array: Any) -> Any:
    codec = StringCodec if array.dtype == object else NumpyCodec
    return codec.encode_output(name, list(array) if array.dtype == object else array)
