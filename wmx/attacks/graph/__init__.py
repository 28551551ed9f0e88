"""Attacks on the ONNX file itself: no training and no framework, seconds on any machine."""
