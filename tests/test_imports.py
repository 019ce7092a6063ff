"""Imports of the runtime: the order of the rooms, and no cycle between modules."""

import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import grimp

ROOT = Path(__file__).parents[1]


def test_contracts_are_kept() -> None:
    # in a process of its own, since it changes the logging of the one it runs in
    check = (
        "import sys; from importlinter.cli import lint_imports; "
        "sys.exit(lint_imports(config_filename=sys.argv[1], no_cache=True))"
    )
    done = subprocess.run(
        [sys.executable, "-c", check, ROOT / "pyproject.toml"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 and " 0 broken" in done.stdout, done.stdout + done.stderr


def test_modules_import_each_other_in_no_circle() -> None:
    graph = grimp.build_graph("facegeom", cache_dir=None)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    assert len(imports) > 60
    TopologicalSorter(imports).prepare()  # raises CycleError, which names the circle
