"""Fine-tuning of an ONNX file in a locked process, for ``wmx dispute``."""
