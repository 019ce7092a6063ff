"""What other methods achieve on the same faces, to compare the networks with."""
