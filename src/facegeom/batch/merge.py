"""Merge the part files of a run into few large files, sorted by key."""

import re
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from math import inf

import pyarrow as pa
import pyarrow.parquet as pq

from facegeom.batch.input_index import Record
from facegeom.batch.output import Output, ordered
from facegeom.errors import InputError
from facegeom.options import check_number

_ROWS_PER_GROUP = 1024
_NAME = re.compile(r"rows-\d{7}\.parquet")


def merge(run: str, out: str, megabytes: float = 256, threads: int = 4) -> Iterator[tuple[str, int]]:
    """Write the rows of a run into files of about one size, and yield the name and the rows of each.

    A file holds part files that follow one another, sorted by key; row groups have 1,024 rows and the
    statistics of each column. The run stays as it is; files of an earlier merge into the same folder go.

    Args:
        run: path or URL of a run.
        out: path or URL of the folder of the files ``rows-0000000.parquet`` …
        megabytes: of the part files that go into one file, 1 to 4096.
        threads: files that are made at once; each takes several times its size of memory.

    Raises:
        InputError: there is no run, or a part file is missing or damaged.
        UnreachableError: a store cannot be reached.
        OutputError: ``out`` cannot be written.
    """
    check_number("megabytes", megabytes, 1, 4096)
    check_number("threads", threads, 1, inf, integer=True)
    source = Output(run, only_read=True)
    records = [record for record in ordered(source.records()) if record.photos]
    if not records:
        raise InputError(f"expected the folder of a run, found no rows in {run!r}")
    target = Output(out)
    written = set[str]()
    groups = enumerate(_groups(records, round(megabytes * 2**20)))
    with ThreadPoolExecutor(threads, "facegeom-merge") as pool:
        while some := list(islice(groups, threads)):  # no more in memory than threads
            for name, rows in pool.map(partial(_merge, source, target), some):
                written.add(name)
                yield name, rows
    for name in target.folder.sizes():
        if _NAME.fullmatch(name) and name not in written:  # of an earlier merge into more files
            target.folder.remove(name)


def _groups(records: Iterable[Record], most_bytes: int) -> Iterator[list[Record]]:
    group: list[Record] = []
    for record in records:
        if group and sum(each.bytes for each in group) + record.bytes > most_bytes:
            yield group
            group = []
        group.append(record)
    yield group


def _merge(source: Output, target: Output, numbered: tuple[int, list[Record]]) -> tuple[str, int]:
    number, records = numbered
    tables: list[pa.Table] = []
    for record in records:
        content = source.read(record.file)
        if content is None or len(content) != record.bytes:
            raise InputError(f"{source.location}/{record.file} is not as it was written; run the batch again")
        try:
            tables.append(pq.read_table(pa.BufferReader(content), page_checksum_verification=True))
        except (pa.ArrowException, OSError) as error:
            raise InputError(f"{source.location}/{record.file} is damaged ({error})") from error
    table = pa.concat_tables([each.replace_schema_metadata() for each in tables]).sort_by("key")
    metadata = {b"facegeom": b"{}"}  # whoever lists photos knows that these are rows
    sink = pa.BufferOutputStream()
    pq.write_table(
        table.replace_schema_metadata(metadata),
        sink,
        row_group_size=_ROWS_PER_GROUP,
        compression="zstd",
        use_dictionary=False,
        write_page_checksum=True,
    )
    name = f"rows-{number:07d}.parquet"
    target.write(name, bytes(sink.getvalue()))
    return name, table.num_rows
