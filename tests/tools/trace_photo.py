"""Count the calls and the changes of file on the way of one photo through facegeom.

    python tests/tools/trace_photo.py [PHOTO] [--calls]

The photo is analysed once to load what is loaded once, and then again under a trace. Counted are calls of named
functions and methods of the package; comprehensions, lambdas and generator expressions belong to the function
that holds them. A change of file is a call whose function stands in another file than that of the call before.
A stage that runs twice is a call of the same network, or of the same reading function, more than once.
"""

import argparse
import sys
from collections import Counter
from importlib.resources import files
from pathlib import Path
from types import FrameType
from typing import Any

import facegeom

PACKAGE = str(Path(facegeom.__file__).parent)


def calls_of(photo: Path) -> list[tuple[str, str]]:
    """File and qualified name of every call for a photo, in their order."""
    analyzer = facegeom.FaceAnalyzer()
    analyzer(photo)
    calls: list[tuple[str, str]] = []

    def note(frame: FrameType, event: str, _: Any) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(PACKAGE) and not code.co_name.startswith("<"):
            calls.append(
                (str(Path(code.co_filename).relative_to(PACKAGE)), getattr(code, "co_qualname", code.co_name))
            )

    sys.setprofile(note)
    try:
        analyzer(photo)
    finally:
        sys.setprofile(None)
    return calls


def main() -> None:
    """Print the numbers, and the calls where they are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("photo", type=Path, nargs="?")
    parser.add_argument("--calls", action="store_true", help="also print the calls")
    given = parser.parse_args()
    photo = given.photo or Path(str(files("facegeom") / "data" / "astronaut.jpg"))
    calls = calls_of(photo)
    changes = sum(first[0] != second[0] for first, second in zip(calls, calls[1:], strict=False))
    if given.calls:
        for file, name in calls:
            print(f"{file:40} {name}")
    print(f"{len(calls)} calls, {changes} changes of file, {len({file for file, _ in calls})} files")
    for (file, name), count in Counter(calls).most_common(12):
        print(f"{count:4} {file}:{name}")


if __name__ == "__main__":
    main()
