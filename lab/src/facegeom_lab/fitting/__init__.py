"""The head model fitted to labelled meshes of photos: identity, expression, pose, and depth from them."""
