"""Other methods on the same faces, for comparison with the networks: dlib's regression trees."""
