"""Where the faces are: candidate squares, found by a cascade of two small networks."""
