"""Evidence in bits: what predictions of secret labels are worth (docs/statistics.md)."""
