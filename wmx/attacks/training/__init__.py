"""Attacks that train, in the framework of the target's weights; the same code for all of them.

They use the built-in training loop.  Beyond plain training, they need four things from an adapter:
frozen weights, soft labels, the gradient with respect to inputs, and the names of the classifier
layer's weights.  Everything else works on files of weights.
"""
