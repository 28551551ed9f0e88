"""Attacks that rewrite the ONNX file: no training, no framework, seconds on any machine."""
