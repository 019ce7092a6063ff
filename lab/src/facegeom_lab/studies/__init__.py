"""Published experiments, rerun: landmarks, dense mesh, head pose, depth, compression, regression trees."""
