"""Attacks that train, in the framework of the stolen weights; the same code for all of them.

Batches, epochs and data are the core's.  Beyond what training a model asks of an adapter, they ask
for weights that stay frozen, soft labels, the gradient with respect to inputs, and which weights
are the last layer.  All else is done on files of weights.
"""
