"""Listing folders, globs, files, shards and stores: which photos, in which order, with which keys."""

import os
import tarfile
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from facegeom.batch import sources, stores
from facegeom.batch.input_index import Job
from facegeom.batch.reading import Reader
from facegeom.batch.sources import Wanted, list_photos
from facegeom.batch.stores import UnreachableError, url_of
from facegeom.errors import InputError

from .conftest import jpeg, write_parquet, write_tar


@pytest.fixture(autouse=True)
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a working folder with photos in subfolders, hidden files and other files."""
    monkeypatch.chdir(tmp_path)
    for name in (
        "album/b.JPG",
        "album/a.jpg",
        "album/trip/day.one/x.jpeg",
        "album/trip/a.png",
        "album/.hidden.jpg",
        "album/.git/a.jpg",
        "album/a.overlay.jpg",
        "album/notes.txt",
        "odd [1].jpg",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(jpeg())
    return tmp_path


def keys(*sources: str, wanted: Wanted | None = None) -> list[str]:
    return [photo.key for photo in list_photos(sources, wanted)]


ALBUM = ["album/a.jpg", "album/b.JPG", "album/trip/a.png", "album/trip/day.one/x.jpeg"]
LISTED = [
    (["album"], ALBUM),
    (["album/"], ALBUM),
    (["./album"], ALBUM),
    (["album/*.jpg"], ["album/a.jpg"]),
    (["album/*"], ["album/a.jpg", "album/b.JPG", "album/notes.txt"]),
    (["album/**/*.png"], ["album/trip/a.png"]),
    (["album/trip/day.?ne/*.jpeg"], ["album/trip/day.one/x.jpeg"]),
    (["a*/[b].JPG"], ["album/b.JPG"]),
    (["album/notes.txt"], ["album/notes.txt"]),
    (["odd [1].jpg"], ["odd [1].jpg"]),
    (["album/b.JPG", "album"], ["album/b.JPG", "album/a.jpg", *ALBUM[2:]]),
    (["album/trip", "album"], [*ALBUM[2:], *ALBUM[:2]]),
    (["album", "album/trip/*.png", "album/b.JPG"], ALBUM),
    (["album", "album/.hidden.jpg", "album/.git"], [*ALBUM, "album/.hidden.jpg", "album/.git/a.jpg"]),
    (["album/*.jpg", "album/.hidden.jpg"], ["album/a.jpg", "album/.hidden.jpg"]),
    (["album", "album/a.overlay.jpg"], [*ALBUM, "album/a.overlay.jpg"]),
]


@pytest.mark.parametrize(("sources", "expected"), LISTED)
def test_listing(sources: list[str], expected: list[str]) -> None:
    assert keys(*sources) == expected


def test_a_link_to_a_folder_above_is_no_other_folder(tree: Path) -> None:
    (tree / "album" / "trip" / "back").symlink_to(tree / "album")
    (tree / "album" / "other").symlink_to(tree / "away")
    (tree / "away").mkdir()
    (tree / "away" / "c.jpg").write_bytes(jpeg())
    (tree / "away" / "here").symlink_to(tree / "album" / "trip")  # its way back is followed no further
    expected = ["album/other/c.jpg", "album/other/here/a.png", "album/other/here/day.one/x.jpeg"]
    assert keys("album") == [*ALBUM[:2], *expected, *ALBUM[2:]]


def test_absolute_sources_have_absolute_keys(tree: Path) -> None:
    assert keys(str(tree / "album")) == [str(tree / key) for key in ALBUM]


def test_same_photo_by_another_path_is_listed_once(tree: Path) -> None:
    assert keys("album", str(tree / "album" / "a.jpg")) == ALBUM


def test_names_and_paths(tree: Path) -> None:
    photo = next(iter(list_photos(["album/trip"])))
    assert (photo.key, photo.name, photo.kind) == ("album/trip/a.png", "a.png", "file")
    assert (photo.path, photo.size) == (str(tree / "album/trip/a.png"), len(jpeg()))


def test_the_runs_own_folder_is_left_out(tree: Path) -> None:
    assert keys("album", wanted=Wanted(leave_out=str(tree / "album/trip"))) == ALBUM[:2]


def test_files_that_are_no_photos_have_a_reason(tree: Path) -> None:
    """A pipe would make a worker wait for ever; a name that is no UTF-8 has no place in a table."""
    os.mkfifo(tree / "album/pipe.jpg")
    os.mkfifo(tree / "album/pipe.tar")
    (tree / "album" / os.fsdecode(b"caf\xe9.jpg")).write_bytes(jpeg())
    photos = {photo.key: photo.problem for photo in list_photos(["album"])}
    assert {key: problem for key, problem in photos.items() if problem} == {
        "album/caf\\udce9.jpg": "the name is not UTF-8; rename it",
        "album/pipe.jpg": "not a regular file",
        "album/pipe.tar": "not a regular file",
    }
    assert set(ALBUM) < photos.keys()
    (alone,) = list_photos(["album/pipe.jpg"])
    assert alone.kind == "damaged"


@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied"), FileNotFoundError(2, "gone")])
def test_a_folder_that_cannot_be_searched_is_told(monkeypatch: pytest.MonkeyPatch, error: OSError) -> None:
    """It is no row: another run may list it."""
    original = os.scandir

    def scandir(path: str) -> Any:
        if path.endswith("trip"):
            raise error
        return original(path)

    monkeypatch.setattr(os, "scandir", scandir)
    monkeypatch.setattr(stores, "RETRY_DELAYS_S", (0.0,))
    problems: dict[str, str] = {}
    assert keys("album", wanted=Wanted(problem=problems.__setitem__)) == ALBUM[:2]
    assert problems.keys() == {"album/trip"}
    assert "cannot be searched" in problems["album/trip"] or "cannot be reached" in problems["album/trip"]


def test_a_store_that_fails_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drivers raise errors of any type, some of many lines, such as missing credentials."""

    class NoCredentialsError(Exception):
        """As botocore raises it: no OSError."""

    def fail(self: object, path: str, **options: object) -> None:
        raise NoCredentialsError("Unable to locate\ncredentials " + "again " * 200)

    monkeypatch.setattr(MemoryFileSystem, "info", fail)
    monkeypatch.setattr(stores, "RETRY_DELAYS_S", (0.0,))
    with pytest.raises(UnreachableError) as caught:
        keys("memory://bucket/photos")
    assert str(caught.value).startswith(
        "'memory://bucket/photos' cannot be reached: Unable to locate credentials"
    )
    assert len(str(caught.value)) < 400


def test_a_link_to_a_photo_is_a_photo(tree: Path) -> None:
    os.symlink(tree / "album/a.jpg", tree / "album/trip/link.jpg")
    assert "album/trip/link.jpg" in keys("album")


def test_listing_is_lazy(tree: Path) -> None:
    """The second source is not searched before the first is exhausted."""
    (tree / "later").mkdir()
    listed = list_photos(["album", "later"])
    assert [next(listed).key for _ in ALBUM] == ALBUM
    with pytest.raises(InputError, match="'later'"):
        next(listed)


def test_tar_members(tree: Path) -> None:
    members = {
        "000.jpg": jpeg(1),
        "000.json": b"{}",
        "sub/001.png": jpeg(2),
        "._001.png": b"x",
        "000.JPG": jpeg(3),
    }
    write_tar(tree / "shard.tar", members)
    photos = list(list_photos(["shard.tar"]))
    assert [photo.key for photo in photos] == [
        "shard.tar/000.jpg",
        "shard.tar/sub/001.png",
        "shard.tar/000.JPG",
    ]
    content = (tree / "shard.tar").read_bytes()
    for photo, value in zip(photos, (1, 2, 3), strict=True):
        assert content[photo.position : photo.position + photo.size] == jpeg(value)


def test_tar_member_twice_has_two_keys(tree: Path) -> None:
    write_tar(tree / "two.tar", {"a.jpg": jpeg()})
    with tarfile.open(tree / "two.tar", "a") as tar:
        tar.add(tree / "album/b.JPG", "a.jpg")
    assert keys("two.tar") == ["two.tar/a.jpg", "two.tar/a.jpg#2"]


def test_tar_that_breaks_off_is_listed_so_far(tree: Path) -> None:
    whole = write_tar(tree / "whole.tar", {"a.jpg": jpeg(), "b.jpg": jpeg()}).read_bytes()
    (tree / "cut.tar").write_bytes(whole[:900])
    first, broken = list_photos(["cut.tar"])
    assert (first.key, broken.key, broken.kind) == ("cut.tar/a.jpg", "cut.tar", "damaged")
    assert "cut short" in str(broken.problem)


def test_invalid_shards_are_listed_as_damaged(tree: Path) -> None:
    for name in ("words.tar", "words.parquet"):
        (tree / name).write_text("words " * 300)
        (photo,) = list_photos([name])
        assert (photo.key, photo.kind) == (name, "damaged") and photo.problem


HUGGING_FACE = [{"bytes": jpeg(), "path": "x.jpg"}, {"bytes": jpeg(), "path": None}, None]
PARQUET: list[tuple[dict[str, list[object]], Wanted, list[str | None]]] = [
    ({"img": [jpeg()] * 3, "label": [1, 2, 3]}, Wanted(), [None, None, None]),
    ({"img": [jpeg()] * 3, "id": [7, 8, None]}, Wanted("img", "id"), ["7", "8", None]),
    ({"img": [jpeg()] * 2, "other": [b"x"] * 2}, Wanted("img"), [None, None]),
    ({"image": list(HUGGING_FACE)}, Wanted(), ["x.jpg", None, None]),
]


@pytest.mark.parametrize(("columns", "wanted", "names"), PARQUET)
def test_parquet_rows(
    tree: Path, columns: dict[str, list[object]], wanted: Wanted, names: list[str | None]
) -> None:
    write_parquet(tree / "t.parquet", columns)
    (shard,) = list_photos(["t.parquet"], wanted)
    assert (shard.key, shard.kind, shard.position, shard.photo_count) == (
        "t.parquet",
        "parquet",
        0,
        len(names),
    )
    photos = [photo.ref for photo in Reader(wanted.image, wanted.name).photos(Job(0, (shard,)))]
    assert [photo.key for photo in photos] == [f"t.parquet#{row}" for row in range(len(names))]
    assert [photo.name for photo in photos] == names
    assert [photo.position for photo in photos] == list(range(len(names)))


@pytest.mark.parametrize(("rows", "expected"), [(1, [2, 2, 2, 1]), (3, [4, 3]), (7, [7]), (100, [7])])
def test_row_groups_are_gathered(tree: Path, rows: int, expected: list[int]) -> None:
    write_parquet(tree / "t.parquet", {"image": [jpeg()] * 7})
    shards = list(list_photos(["t.parquet"], Wanted(rows=rows)))
    assert [shard.photo_count for shard in shards] == expected
    assert [shard.position for shard in shards] == [sum(expected[:n]) for n in range(len(expected))]


WRONG_COLUMNS = [
    ({"label": [1]}, Wanted(), "expected one column with the bytes of photos"),
    ({"a": [b"x"], "b": [b"y"]}, Wanted(), "name it with --column"),
    ({"a": [b"x"]}, Wanted("b"), "expected the column 'b'"),
    ({"a": [b"x"], "n": [1]}, Wanted("n"), "n (int64)"),
    ({"a": [b"x"]}, Wanted("a", "n"), "expected the column 'n' with names"),
]


@pytest.mark.parametrize(("columns", "wanted", "message"), WRONG_COLUMNS)
def test_wrong_columns(tree: Path, columns: dict[str, list[object]], wanted: Wanted, message: str) -> None:
    write_parquet(tree / "t.parquet", columns)
    with pytest.raises(InputError) as caught:
        keys("t.parquet", wanted=wanted)
    assert message in str(caught.value)


def test_lists(tree: Path) -> None:
    """Lines and columns of paths and URLs: photos are not asked for, shards are opened."""
    write_tar(tree / "s.tar", {"m.jpg": jpeg()})
    names = ["# photos", "./album/b.JPG", "", "s3://lake/a b.jpg", "album/gone.jpg", "s.tar", "album/b.JPG"]
    (tree / "list.txt").write_text("\n".join(names))
    write_parquet(tree / "list.parquet", {"n": [1] * 5, "url": [*names[3:], None]})
    expected = ["album/b.JPG", "s3://lake/a b.jpg", "album/gone.jpg", "s.tar/m.jpg"]
    listed = list(list_photos([], lists=["list.txt"]))
    assert [photo.key for photo in listed] == expected
    assert [photo.path for photo in listed[:3]] == [str(tree / "album/b.JPG"), names[3], str(tree / names[4])]
    assert [photo.size for photo in listed] == [len(jpeg()), -1, -1, len(jpeg())]
    assert listed[0].version == next(iter(list_photos(["album/b.JPG"]))).version
    assert [photo.key for photo in list_photos([], lists=["list.parquet"])] == [*expected[1:], expected[0]]
    both = [photo.key for photo in list_photos(["album"], lists=["list.txt"])]
    assert both == [*ALBUM, expected[1], expected[3]]  # the folder says what is in it


@pytest.mark.parametrize("columns", [{"a": ["x"], "b": ["y"]}, {"n": [1]}])
def test_wrong_lists(tree: Path, columns: dict[str, list[object]]) -> None:
    write_parquet(tree / "list.parquet", columns)
    for name, message in (("list.parquet", "expected a column url, path"), ("nowhere.txt", "cannot read")):
        with pytest.raises(InputError, match=message):
            list(list_photos([], lists=[name]))


def test_folder_with_everything(tree: Path) -> None:
    write_tar(tree / "album/s.tar", {"m.jpg": jpeg()})
    write_parquet(tree / "album/t.parquet", {"image": [jpeg()]})
    assert keys("album") == [*ALBUM[:2], "album/s.tar/m.jpg", "album/t.parquet", *ALBUM[2:]]


WRONG_SOURCES = [
    (["nowhere"], "'nowhere' is not there"),
    ([""], "expected a path or URL, got an empty text"),
    (["nowhere/*.jpg"], "nowhere' of 'nowhere/*.jpg' is not there"),
    (["album/*.gif"], "expected photos in 'album/*.gif', found none"),
    (["album/.git"], None),
    (["void"], "expected photos in 'void', found none"),
    (["x.tar.gz"], "make it a plain .tar"),
    (["nosuch://bucket/a"], "nosuch"),
    (["zip://a.jpg::file://b.zip"], "expected a plain URL"),
]


@pytest.mark.parametrize(("sources", "message"), WRONG_SOURCES)
def test_wrong_sources(tree: Path, sources: list[str], message: str | None) -> None:
    (tree / "void").mkdir()
    (tree / "x.tar.gz").write_bytes(b"x")
    if message is None:
        assert keys(*sources) == ["album/.git/a.jpg"]  # asked for by name
        return
    with pytest.raises(InputError) as caught:
        keys(*sources)
    assert message in str(caught.value)


def test_stores() -> None:
    """Photos are listed by URL from a store that is not a local file system."""
    store = fsspec.filesystem("memory")
    for name in ("/lake/b.jpg", "/lake/sub/a.jpg", "/lake/sub/.h.jpg", "/lake/sub/n.txt"):
        store.pipe_file(name, jpeg())
    try:
        both = ["memory://lake/b.jpg", "memory://lake/sub/a.jpg"]
        assert keys("memory://lake/") == both
        assert keys("memory://lake/**/*.jpg") == both
        assert keys("memory://lake/sub/a.jpg", "memory://lake") == both[::-1]
        assert [photo.path for photo in list_photos(["memory://lake"])] == both
    finally:
        store.rm("/lake", recursive=True)


def test_file_urls(tree: Path) -> None:
    url = (tree / "album").as_uri()
    assert keys(url) == [f"{url}/{key.removeprefix('album/')}" for key in ALBUM]


@pytest.mark.parametrize(
    ("path", "source", "url"),
    [
        ("/photos/a.jpg", "/photos", "/photos/a.jpg"),
        ("/photos/a.jpg", "file:///photos", "file:///photos/a.jpg"),
        ("bucket/in/a.jpg", "s3://bucket/in", "s3://bucket/in/a.jpg"),
        ("/dir/a.jpg", "memory://dir", "memory://dir/a.jpg"),
        ("/photos/a.jpg", "hdfs://node:9000/photos", "hdfs://node:9000/photos/a.jpg"),
        ("/photos/a.jpg", "ftp://host.example/photos", "ftp://host.example/photos/a.jpg"),
        ("https://host.example/a.jpg", "https://host.example", "https://host.example/a.jpg"),
    ],
)
def test_urls_of_what_a_store_lists(path: str, source: str, url: str) -> None:
    assert url_of(path, source) == url


def test_a_list_may_be_a_pipe(tree: Path) -> None:
    reading, writing = os.pipe()
    os.write(writing, b"# photos\none.jpg\n")
    os.close(writing)
    try:
        assert list(sources._names_in(f"/dev/fd/{reading}")) == ["one.jpg"]
    finally:
        os.close(reading)
