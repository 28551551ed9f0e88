"""Labeled data: loaders, validation, and the canonical form that all code uses."""
