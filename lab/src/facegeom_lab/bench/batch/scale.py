"""What the driver of a large run costs: listing, the input index, a second listing, memory."""

import json
import sys
import tempfile
from pathlib import Path

from facegeom_lab.bench.speed.processes import output
from facegeom_lab.measures.tables import Cell, Table

_PROTOCOL = (
    "{count} files of one byte in folders of 1,000, on this machine's disk, in a process of its own. Seconds "
    "are processor time: other work does not count. First: listing, cutting into jobs of 128 "
    "and writing the input index. Again: the same with 100 more files, compared with the index, which is "
    "written anew. Left: going over all jobs, as a call does before it starts its workers."
)
_COLUMNS = ("step", "photos", "processor seconds", "microseconds per photo", "peak memory, MB")
_MEASURE = """
import json, resource, sys, time
from pathlib import Path
from facegeom.batch.growth import grow
from facegeom.batch.input_index import InputIndex, jobs_of, write_index
from facegeom.batch.sources import list_photos

album, out, found = sys.argv[1], Path(sys.argv[2]), []

def measured(name, count, action):
    started = time.process_time()
    action()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    found.append((name, count, time.process_time() - started, peak))

count = int(sys.argv[3])
measured("first", count, lambda: write_index(jobs_of(list_photos([album]), 128), out))
for number in range(100):
    (Path(album) / f"new{number}.jpg").write_bytes(b"x")
measured("again", count + 100, lambda: grow(list_photos([album]), out, 128, lambda: True, set()))
assert sum(len(job.photos) for job in InputIndex(out)) == count + 100
measured("left", count + 100, lambda: [job.part for job in InputIndex(out)])
print(json.dumps(found))
"""


def measure_scale(count: int) -> Table:
    """Measure the driver's work for a number of photos."""
    with tempfile.TemporaryDirectory() as scratch:
        album, out = Path(scratch, "album"), Path(scratch, "out")
        out.mkdir()
        for folder in range(-(-count // 1000)):
            (album / f"{folder:06d}").mkdir(parents=True)
            for number in range(folder * 1000, min(count, folder * 1000 + 1000)):
                (album / f"{folder:06d}" / f"{number:09d}.jpg").write_bytes(b"x")
        found = json.loads(output(sys.executable, "-c", _MEASURE, str(album), str(out), str(count)))
    rows: list[tuple[Cell, ...]] = [
        (name, photos, seconds, 1e6 * seconds / photos, peak) for name, photos, seconds, peak in found
    ]
    return Table("Scale", _PROTOCOL.format(count=count), _COLUMNS, rows)
