"""Teachers that label photos: MediaPipe, heat maps, head poses."""
