"""Modules that only the built-in training loop (``wmx embed``) needs."""
