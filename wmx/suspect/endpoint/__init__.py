"""Models behind an API: the Open Inference Protocol v2 over HTTP (Triton, KServe, MLServer).

Nobody here has the file: what is known is what the server says of the model and what it answers,
and every word of it may be a lie.  Numbers are all that is taken from it.
"""
