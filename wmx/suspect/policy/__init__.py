"""Rules for what untrusted model files may contain and refer to, checked before they are run."""
