"""The evidence score in bits: how much better than chance a suspect predicts the secret labels."""
