"""Network definitions in PyTorch."""
