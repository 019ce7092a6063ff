"""Send the faces of a camera or of a video to other programs, frame by frame.

Needs the extra ``[live]``. docs/live.md has the protocols.

>>> from facegeom.live import Target, run_live
>>> from facegeom.video import FrameAnalyzer, Source
>>> run_live(Source.camera(0), [Target.open("vmc://127.0.0.1:39539")], FrameAnalyzer())  # doctest: +SKIP
"""

from facegeom.live.protocols import LiveFrame
from facegeom.live.run import LiveSummary, run_live
from facegeom.live.sending import Target

__all__ = ["LiveFrame", "LiveSummary", "Target", "run_live"]
