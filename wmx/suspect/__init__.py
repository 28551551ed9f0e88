"""Suspects: model files, functions and addresses that are queried, none of them trusted."""
