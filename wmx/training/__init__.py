"""Embedding a mark: recipes, batches with triggers, the built-in training loop, ONNX export."""
