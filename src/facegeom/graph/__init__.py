"""One ONNX graph from photo to faces: detector, NMS, crops, face network, regions, and back to the photo.

The modules repeat the runtime's steps as nodes: :mod:`facegeom.graph.builder` writes nodes,
:mod:`facegeom.graph.sampling` downscales and crops, :mod:`facegeom.graph.detection` finds candidates,
:mod:`facegeom.graph.faces` joins all. Needs the extra ``[export]``.
"""

from facegeom.graph.faces import OUTPUTS, build

__all__ = ["OUTPUTS", "build"]
