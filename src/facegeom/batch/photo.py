"""A photo of a run: where it lies and what its row will be called."""

from typing import Literal, NamedTuple, TypeAlias

Kind: TypeAlias = Literal["file", "tar", "parquet", "damaged"]


class Photo(NamedTuple):
    """One photo to analyse.

    Attributes:
        key: its name in the run, unique and the same in every run over the same sources: the path as the
            source was given, then "/" and the member's name in a tar file, "#" and the row in a Parquet file.
        name: what the source calls it: path under the folder, member of the tar file, or the value of the
            name column; None where it has none.
        kind: how it is read: "file", member of a "tar", row of a "parquet"; "damaged" stands for what could
            not be listed, with the reason in ``problem``.
        path: of the file that holds it: absolute, or a URL.
        position: first byte in the tar file, or row in the Parquet file; else 0.
        size: in bytes, for a row that of its Parquet file; -1 where the store does not say.
        problem: why a damaged source could not be listed.
    """

    key: str
    name: str | None
    kind: Kind
    path: str
    position: int = 0
    size: int = -1
    problem: str | None = None

    @property
    def identity(self) -> tuple[object, ...]:
        """What must be the same when a run goes on: all but where the sources lie now."""
        return self.key, self.name, self.kind, self.position, self.size, self.problem
