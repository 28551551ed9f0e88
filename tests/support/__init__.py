"""What several tests and benchmarks share: models, suspects, servers, forgeries, kits."""
