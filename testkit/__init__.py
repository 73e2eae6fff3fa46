"""What tests and benchmarks share: small registries and models, buckets, crashes and faults to order, traffic."""
