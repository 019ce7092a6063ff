"""Eight bits, sixteen bits and pruned variants of the networks that ship."""
