"""The laboratory of facegeom: data sets, teachers, renderer, training, quantisation, benchmarks, studies."""
