"""Scheme ``wmx-3``: keys, claims, commitments, labels, timestamps (docs/protocol.md)."""
