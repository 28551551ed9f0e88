"""Code shared by the adapters for Flax and for Keras on the JAX backend."""
