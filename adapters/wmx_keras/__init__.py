"""wmx for Keras 3."""
