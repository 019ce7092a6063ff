"""Training samples of each network."""
