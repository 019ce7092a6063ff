"""The face network's predictor: squares around faces in, geometry in the photo's pixels out."""
