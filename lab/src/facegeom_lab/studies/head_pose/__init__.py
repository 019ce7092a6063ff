"""The study of FPNet's training, and its page."""
