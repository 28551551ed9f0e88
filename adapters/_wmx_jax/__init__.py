"""What every adapter needs whose networks run on JAX: Flax, and Keras on that backend."""
