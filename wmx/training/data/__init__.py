"""Labeled data: where they are read from, and the one form in which all code takes them."""
