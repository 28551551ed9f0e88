"""A forger at work: he has a model that was never marked, and wants it to verify as his."""
