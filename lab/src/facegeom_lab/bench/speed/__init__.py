"""Time, memory and start-up cost of the analyzer, beside the peers."""
