"""What the driver of a large run costs: listing, the input index, a second listing, memory; merged rows."""

import json
import sys
import tempfile
from itertools import pairwise
from pathlib import Path

from facegeom.batch.merge import merge
from facegeom_lab.bench.speed.processes import output
from facegeom_lab.measures.tables import Cell, Table

_PROTOCOL = (
    "{count} files of one byte in folders of 1,000, on this machine's disk, in a process of its own. Seconds "
    "are processor time: other work does not count. List: the listing alone. First: the same, cut into jobs "
    "of 128, and the input index written. Again: the same with 100 more files, compared with the index, "
    "which is written anew. Left: going over all jobs, as a call does before it starts its workers. Run: "
    "`analyze_many` from start to end, in another process, with workers that do nothing: it lists, keeps the "
    "ledger, and writes an empty part file for each job."
)
_COLUMNS = ("step", "photos", "processor seconds", "microseconds per photo", "peak memory, MB")
_MERGED_PROTOCOL = (
    "`facegeom batch merge` of the part files of the last engine's run, as it comes (256 MB). Sorted: the "
    "keys of the file. Statistics: whether every row group has smallest and largest key."
)
_MERGED_COLUMNS = ("file", "MB", "rows", "row groups", "sorted", "statistics")
_PEAK = """
def peak_mb():  # ru_maxrss would count the process from which this one was forked
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM"))
"""
_MEASURE = """
import json, sys, time
from pathlib import Path
from facegeom.batch.growth import grow
from facegeom.batch.input_index import InputIndex, jobs_of, write_index
from facegeom.batch.sources import list_photos

album, out, found = sys.argv[1], Path(sys.argv[2]), []

def measured(name, count, action):
    started = time.process_time()
    action()
    found.append((name, count, time.process_time() - started, peak_mb()))

count = int(sys.argv[3])
measured("list", count, lambda: sum(1 for photo in list_photos([album])))
measured("first", count, lambda: write_index(jobs_of(list_photos([album]), 128), out))
for number in range(100):
    (Path(album) / f"new{number}.jpg").write_bytes(b"x")
measured("again", count + 100, lambda: grow(list_photos([album]), out, 128, lambda: True, set()))
assert sum(len(job.photos) for job in InputIndex(out)) == count + 100
measured("left", count + 100, lambda: [job.part for job in InputIndex(out)])
print(json.dumps(found))
"""
_RUN = """
import json, sys, time
from facegeom.batch import analyze_many, local
from facegeom.batch.input_index import Record
from facegeom.batch.work import Outcome, Piece

def nothing(jobs, settings, workers):
    for job in jobs:
        yield Piece(Record(job.part, 0, True, len(job.photos), 0, 0, 0, 64 * "0", job.inputs), b"")
        yield Outcome(job.part, None)

local.run = nothing
started = time.process_time()
end = analyze_many([sys.argv[1]], sys.argv[2], workers=1)
print(json.dumps([["run", end.done.photos, time.process_time() - started, peak_mb()]]))
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
        found = json.loads(output(sys.executable, "-c", _PEAK + _MEASURE, str(album), str(out), str(count)))
        found += json.loads(output(sys.executable, "-c", _PEAK + _RUN, str(album), str(out / "run")))
    rows: list[tuple[Cell, ...]] = [
        (name, photos, seconds, 1e6 * seconds / photos, peak) for name, photos, seconds, peak in found
    ]
    return Table("Scale", _PROTOCOL.format(count=count), _COLUMNS, rows)


def measure_merged(run: Path, out: Path) -> Table:
    """Merge the part files of a run and look at the files that come out."""
    import pyarrow.parquet as pq

    rows: list[tuple[Cell, ...]] = []
    for name, count in merge(str(run), str(out)):
        file = pq.ParquetFile(out / name)
        keys = file.read(["key"])["key"].to_pylist()
        groups = [file.metadata.row_group(number) for number in range(file.num_row_groups)]
        has_statistics = all(group.column(0).statistics.has_min_max for group in groups)
        is_sorted = all(first < second for first, second in pairwise(keys))
        size = (out / name).stat().st_size / 2**20
        rows.append((name, size, count, len(groups), str(is_sorted).lower(), str(has_statistics).lower()))
    return Table("Merged rows", _MERGED_PROTOCOL, _MERGED_COLUMNS, rows)
