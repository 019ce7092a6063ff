"""Teachers that label photos: MediaPipe's meshes, heat maps, head rotations."""
