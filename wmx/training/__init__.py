"""Embedding: recipes, batches with triggers, the built-in training loop, and the export."""
