"""Eight-bit, sixteen-bit and pruned variants of the networks that ship."""
