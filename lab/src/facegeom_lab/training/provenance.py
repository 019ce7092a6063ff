"""Where figures come from: commit, date and hashes of what they depend on, in every result and page.

A page of figures carries them as a line of text and as a comment that a test reads: when a recipe, a module
or a network has changed since the runs, the page must say that it is out of date.
"""

import hashlib
import json
import subprocess
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from facegeom.errors import InputError
from facegeom.models import weights
from facegeom_lab.files import weights_hash
from facegeom_lab.training import recipes

PACKAGE = Path(__file__).parents[1]
KEY = "about"
"""Key of the stamp in ``result.json``."""

DETECTORS = ("weights onepass", "weights face")
CASCADE = ("weights pnet", "weights rnet")


def stamp(keys: Iterable[str]) -> dict[str, Any]:
    """Return commit, date and the hashes of :func:`current_hash` of a run that ends now."""
    return {
        "commit": commit(),
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d"),
        "hashes": {key: current_hash(key) for key in keys},
    }


def recipe_stamp(name: str) -> dict[str, Any]:
    """Return the stamp of a recipe's run: its values, and the detector whose boxes are used."""
    return stamp([f"recipe {name}", *DETECTORS])


def commit() -> str:
    """Return the short hash of the checkout's commit, with a plus where the code differs; "" without git."""
    if not (PACKAGE.parents[2] / ".git").exists():
        return ""
    try:
        head = _git("rev-parse", "--short=10", "HEAD")
        changed = _git("status", "--porcelain", "--untracked-files=no", "--", str(PACKAGE))
    except (OSError, subprocess.CalledProcessError):
        return ""
    return f"{head}+" if changed else head


def _git(*words: str) -> str:
    done = subprocess.run(["git", "-C", str(PACKAGE), *words], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def current_hash(key: str) -> str:
    """Return the hash of what a key names, as it is now; "" when there is no such thing any more.

    Args:
        key: ``recipe NAME``, all its values; ``weights NAME``, a network that ships; ``code PATH``, a module
            of the laboratory or the modules of one of its folders.

    Raises:
        InputError: another kind of key.
    """
    kind, _, name = key.partition(" ")
    if kind == "recipe":
        known = name in recipes.names()
        return _digest(json.dumps(recipes.values(name), sort_keys=True).encode()) if known else ""
    if kind == "weights":
        return weights_hash(name) if name in weights.manifest() else ""
    if kind != "code":
        raise InputError(f"expected recipe, weights or code and a name, got {key!r}")
    place = PACKAGE / name
    files = sorted(place.glob("*.py")) if place.is_dir() else [place]
    return _digest(b"".join(file.read_bytes() for file in files if file.is_file()))


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:12]


def page_lines(stamps: Mapping[str, Mapping[str, Any]]) -> str:
    """Return what a page says of its runs: commits, dates, what has changed since, the comment for the test.

    Args:
        stamps: of each run, by its name; empty for runs of versions that wrote none.
    """
    known = [each for each in stamps.values() if each]
    commits = sorted({str(each["commit"]) or "no checkout" for each in known})
    dates = sorted({str(each["date"]) for each in known})
    hashes: dict[str, str] = {}
    changed = [f"{name} (a run without a stamp)" for name, each in stamps.items() if not each]
    for each in known:
        for key, value in each["hashes"].items():
            if hashes.setdefault(key, value) != value or current_hash(key) != value:
                changed.append(key)
    about = {"commits": commits, "dates": dates, "hashes": dict(sorted(hashes.items()))}
    return lines_of(about | {"stale": ", ".join(dict.fromkeys(changed))})


def lines_of(about: Mapping[str, Any]) -> str:
    """Return text and comment of a page from ``commits``, ``dates``, ``hashes`` and ``stale``."""
    commits, dates = " and ".join(about["commits"]) or "unknown", list(about["dates"])
    when = dates[0] if len(set(dates)) == 1 else f"{dates[0]} to {dates[-1]}" if dates else "unknown dates"
    text = f"Runs of {when}, commit {commits}."
    if about["stale"]:
        text += (
            f" **Out of date**: the figures belong to that commit; what has changed since: {about['stale']}."
        )
    return f"{text}\n<!-- figures of {json.dumps(dict(about), sort_keys=True)} -->"
