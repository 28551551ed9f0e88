"""Attacks that preprocess the inputs and leave the model unchanged."""
