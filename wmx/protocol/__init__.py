"""The file formats and cryptography of scheme ``wmx-3``: keys, claims, commitments, timestamps."""
