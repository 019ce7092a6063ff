"""Count the function calls and the changes of file while one photo is analyzed.

    python tests/tools/trace_photo.py [PHOTO] [--calls]

The photo is analyzed once to load the networks, then again under a trace. Calls of the package's named
functions and methods count; a comprehension, a lambda or a generator expression is a part of the function
around it. A change of file is a call of a function in another file than that of the call before.
"""

import argparse
import os
import sys
from collections import Counter
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import facegeom

ROOT = f"{Path(facegeom.__file__).parent}{os.sep}"
PORTRAIT = Path(str(files("facegeom") / "data" / "astronaut.jpg"))


class Call(NamedTuple):
    """A call of a function.

    Attributes:
        file: path of its module in the package.
        name: qualified name; without the class before Python 3.11.
    """

    file: str
    name: str


def calls_of(photo: Path) -> list[Call]:
    """Return the calls during the analysis of a photo by one thread, in their order."""
    analyzer = facegeom.FaceAnalyzer(threads=1)
    analyzer(photo)
    calls: list[Call] = []

    def record(frame: FrameType, event: str, _: Any) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(ROOT) and code.co_name[0] != "<":
            file = code.co_filename.removeprefix(ROOT).replace(os.sep, "/")
            calls.append(Call(file, getattr(code, "co_qualname", code.co_name)))

    before = sys.getprofile()
    sys.setprofile(record)
    try:
        analyzer(photo)
    finally:
        sys.setprofile(before)
    return calls


def changes_of_file(calls: list[Call]) -> int:
    """Count the calls whose function is in another file than that of the call before."""
    return sum(first.file != second.file for first, second in pairwise(calls))


def main() -> None:
    """Print the counts, and the calls themselves with ``--calls``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "photo", type=Path, nargs="?", default=PORTRAIT, help="by default the packaged portrait"
    )
    parser.add_argument("--calls", action="store_true", help="also print the calls")
    given = parser.parse_args()
    calls = calls_of(given.photo)
    if given.calls:
        for file, name in calls:
            print(f"{file:40} {name}")
    number = len({call.file for call in calls})
    print(f"{len(calls)} calls, {changes_of_file(calls)} changes of file, {number} files")
    for (file, name), count in Counter(calls).most_common(12):
        print(f"{count:4} {file}:{name}")


if __name__ == "__main__":
    main()
