"""The networks: sessions, pre- and post-processing of each, and the weights that ship."""
