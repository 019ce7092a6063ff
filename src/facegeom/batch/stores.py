"""Files wherever they are: paths of this machine, and URLs by fsspec or pyarrow."""

import os
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
from fsspec.implementations.arrow import ArrowFSWrapper
from pyarrow.fs import FileSystem

from facegeom.errors import InputError


def is_url(location: str) -> bool:
    """Whether it names a place in a store rather than a path of this machine."""
    return "://" in location


def open_store(location: str) -> tuple[Any, str]:
    """The fsspec file system of a path or URL, and the path within it.

    Listings are not cached: they would fill the memory when there are millions of photos.

    Raises:
        InputError: no driver knows the URL.
    """
    if "::" in location:
        raise InputError(f"expected a plain URL, got the chain {location!r}; unpack it first")
    try:
        store, path = fsspec.core.url_to_fs(location, use_listings_cache=False)
    except ImportError as error:
        return _open_with_pyarrow(location, error)
    except ValueError as error:
        raise InputError(f"expected a path or a URL that fsspec knows, got {location!r}: {error}") from error
    return store, str(path)


def _open_with_pyarrow(location: str, missing: ImportError) -> tuple[Any, str]:
    """S3, Google's and Hadoop's stores without further packages."""
    try:
        store, path = FileSystem.from_uri(location)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"cannot open {location!r}: {missing}") from error
    return ArrowFSWrapper(store), path


def url_of(path: str, source: str) -> str:
    """The full name of a path within the store that a source lies in; workers open it from there.

    Args:
        path: in the store of the source.
        source: a path or URL of the same store.
    """
    if not is_url(source) or is_url(path):
        return path
    return f"{source.partition('://')[0]}://{path.lstrip('/')}"


def tidy(location: str | os.PathLike[str]) -> str:
    """The source as its photos' keys begin: no trailing slash, no ``./`` in front."""
    text = os.fspath(location)
    if is_url(text):
        return text.rstrip("/")
    return Path(text).as_posix()
