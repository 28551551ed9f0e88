"""What only the training loop behind ``wmx embed`` needs."""
