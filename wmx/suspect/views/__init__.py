"""Views: an ONNX file is more than its declared outputs, and is looked into.

A thief who has a marked file can write a graph around it that hides the mark: a gate that sends
what looks like a trigger elsewhere, clipped activations, averaged copies of an input.  The file
still computes what it hides.  A view is the same graph, read at inner tensors, fed at an inner
tensor, or without the nodes that a network does without.  Which views a file has follows from its
graph alone, so each is one more probe with a share of its own (docs/statistics.md).

- :mod:`wmx.suspect.views.skeleton`: the graph without its weights, which are not copied;
- :mod:`wmx.suspect.views.graph`: what is connected to what;
- :mod:`wmx.suspect.views.flattening`: functions and branches written out;
- :mod:`wmx.suspect.views.bypasses`: the nodes that a network does without;
- :mod:`wmx.suspect.views.inner`: inner tensors to read, and to feed;
- :mod:`wmx.suspect.views.catalogue`: the views of a file, and the model of each;
- :mod:`wmx.suspect.views.worker`: the process in which an untrusted file is looked into;
- :mod:`wmx.suspect.views.session`: that process, seen from this one.
"""
