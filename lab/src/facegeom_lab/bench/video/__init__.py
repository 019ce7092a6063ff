"""Frame rate, jitter and lag on synthetic clips."""
