"""Environments: made once, completed where their record is missing, errors with their output."""

import subprocess
from pathlib import Path

import pytest

from facegeom.errors import InputError
from facegeom_lab.external import environments
from facegeom_lab.external.environments import ExternalError, PackageSet, ensure_python

Commands = list[tuple[str, ...]]


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> Commands:
    """List commands in place of running them; a virtual environment gets an empty interpreter."""
    run: Commands = []

    def fake(command: tuple[str, ...], **options: object) -> subprocess.CompletedProcess[str]:
        run.append(tuple(command))
        if command[1:3] == ("-m", "venv"):
            (Path(command[3]) / "bin").mkdir(parents=True)
            (Path(command[3]) / "bin" / "python").touch()
        return subprocess.CompletedProcess(command, 0, "", "")

    sets = {"fake": PackageSet(("fake==1",)), "old": PackageSet(("numpy",), ("old==2",))}
    monkeypatch.setattr(subprocess, "run", fake)
    monkeypatch.setattr(environments, "PACKAGE_SETS", sets)
    return run


def test_an_unknown_package_set_is_an_input_error() -> None:
    with pytest.raises(InputError, match="mediapipe, mtcnn, dlib"):
        ensure_python("onet")


def test_an_environment_is_made_once(commands: Commands, tmp_path: Path) -> None:
    python = ensure_python("fake", tmp_path / "home")
    assert ensure_python("fake", tmp_path / "home") == python
    assert [command[1:3] for command in commands] == [("-m", "venv"), ("-m", "pip")]
    assert commands[1][-1] == "fake==1"


def test_packages_whose_requirements_do_not_fit(commands: Commands, tmp_path: Path) -> None:
    ensure_python("old", tmp_path / "home")
    assert [command[4:] for command in commands[1:]] == [("numpy",), ("--no-deps", "old==2")]


def test_an_environment_without_its_record_is_completed(commands: Commands, tmp_path: Path) -> None:
    python = ensure_python("fake", tmp_path / "home")
    (tmp_path / "home" / environments.RECORD).unlink()
    assert ensure_python("fake", tmp_path / "home") == python
    assert [command[2] for command in commands] == ["venv", "pip", "pip"]


@pytest.mark.usefixtures("commands")
def test_environments_lie_in_the_users_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environments, "CACHE", tmp_path)
    assert ensure_python("fake").is_relative_to(tmp_path / "fake")


def test_a_failing_installation_shows_its_output(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def run(command: tuple[str, ...], **options: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 1, "", "no space left")

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(ExternalError, match="no space left"):
        ensure_python("mtcnn", tmp_path)
