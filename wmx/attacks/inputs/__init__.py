"""Attacks on what a model is fed: the model stays as it is, its inputs do not."""
