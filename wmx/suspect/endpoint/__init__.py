"""Suspects behind an API: the Open Inference Protocol v2 over HTTP (Triton, KServe, MLServer).

The file is not available: only the server's description of the model and its predictions are, and
both are untrusted.  Only numbers are taken from them.
"""
