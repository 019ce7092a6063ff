"""The page of the two depth networks, and contact sheets of depth on photos."""
