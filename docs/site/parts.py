"""Parts of the reference that the code itself says: commands, options, schemas, the HTTP API."""

import inspect
import json
import re
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from typer.models import ArgumentInfo

from facegeom.batch import rows
from facegeom.cli.root import app
from facegeom.serve import api_page
from facegeom.serve.app import Application
from facegeom.serve.limits import Settings
from facegeom.video.table import FACES, FRAMES

LABORATORY = ("bench", "lab")
"""Commands of facegeom-lab, which is not installed where the site is built."""


def make(name: str) -> str:
    """Return a part as Markdown.

    Raises:
        KeyError: there is no part of that name.
    """
    kind, _, room = name.partition(" ")
    return _modules(room) if kind == "modules" else _PARTS[name]()


def _modules(room: str) -> str:
    """Return what mkdocstrings replaces by the names of every module of a package."""
    paths = sorted((Path(__file__).parents[2] / "src" / "facegeom" / room).glob("[!_]*"))
    modules = [path.stem for path in paths if path.suffix == ".py" or (path / "__init__.py").exists()]
    return "\n\n".join(f"::: facegeom.{room}.{module}" for module in modules)


def _commands() -> str:
    """Return every command with its options."""
    registered = {each.name or each.callback.__name__: each.callback for each in app.registered_commands}
    for group in app.registered_groups:
        for each in group.typer_instance.registered_commands:
            registered[f"{group.name} {each.name or each.callback.__name__}"] = each.callback
    own = {name: each for name, each in registered.items() if name.split()[0] not in LABORATORY}
    return "\n\n".join(_command(f"facegeom {name}", function) for name, function in own.items())


def _command(name: str, function: Any) -> str:
    about, _, example = inspect.cleandoc(function.__doc__).partition("Example: ")
    hints = get_type_hints(function, include_extras=True)
    parameters = [
        (parameter, *get_args(hints[parameter.name])[:2])
        for parameter in inspect.signature(function).parameters.values()
    ]
    arguments = [_metavar(*each) for each in parameters if isinstance(each[2], ArgumentInfo)]
    texts = [f"## {name}", "```text\n" + " ".join([name, *arguments, "[OPTIONS]"]) + "\n```", _plain(about)]
    if example:
        texts.append(f"```sh\n{example.strip()}\n```")
    table = "\n".join(_option(*each) for each in parameters)
    return "\n\n".join([*texts, f"| option | default | |\n|---|---|---|\n{table}"])


def _option(parameter: inspect.Parameter, kind: Any, about: Any) -> str:
    """Return the row of an option or argument."""
    default = None if parameter.default is inspect.Parameter.empty else parameter.default
    # with Annotated, Typer keeps the first name of an option as its default
    given = [*([about.default] if isinstance(about.default, str) else []), *(about.param_decls or ())]
    name = parameter.name.replace("_", "-")
    if isinstance(about, ArgumentInfo):
        names = _metavar(parameter, kind, about)
    elif kind is bool:
        names, default = ", ".join(given or [f"--{name}/--no-{name}"]), default or None
    else:
        names = ", ".join(given or [f"--{name}"]) + f" {_metavar(parameter, kind, about)}"
    text = "" if default is None else "yes" if default is True else str(default)
    if isinstance(about.show_default, str):
        text = about.show_default
    elif parameter.default is inspect.Parameter.empty:
        text = "required"
    return f"| <code>{_cell(names)}</code> | {_cell(text)} | {_cell(_plain(about.help))} |"


def _metavar(parameter: inspect.Parameter, kind: Any, about: Any) -> str:
    """Return what stands for the value of an option: its own word, its choices, or its type."""
    if about.metavar:
        return str(about.metavar)
    plain = (
        [each for each in get_args(kind) if each is not type(None)]
        if type(None) in get_args(kind)
        else [kind]
    )
    if get_origin(plain[0]) is Literal:
        return "|".join(map(str, get_args(plain[0])))
    return {int: "N", float: "NUMBER"}.get(plain[0], "TEXT")


def _cell(text: str) -> str:
    return text.replace("|", "&#124;").replace("\n", " ")


def _plain(text: str) -> str:
    """Return a help text as Markdown."""
    return re.sub(r"(?<![\w`])([\w/]*\*[\w/.*]+)", r"`\1`", text).strip().replace("<", "&lt;")


def _http() -> str:
    """Return the HTTP API, the same that ``/docs`` of the service shows."""
    html = api_page.render(Application([], Settings()).openapi())
    html = re.sub(r"<h2 id=\"(.+?)\">(.+?)</h2>", r"\n\n## \2 { #\1 }\n\n", html)
    return html.replace("<table>", '\n<table markdown="0">')


def _schema() -> str:
    """Return the fields of the published JSON schema."""
    schema = json.loads((files("facegeom") / "data" / "faces.schema.json").read_text(encoding="utf-8"))
    face = schema["$defs"]["face"]
    both = [("The file", schema), ("A face", face)]
    texts = []
    for title, each in both:
        table = "\n".join(api_page.table("Field", "Type", "Meaning", api_page.fields(each)))
        table = re.sub(r'<a href="#schema-(point2|point3)">.+?</a>', r"\1", table)
        table = table.replace('<a href="#schema-confidence">confidence</a>', "number, 0 to 1")
        texts.append(f"## {title}\n\n{table.replace('#schema-face', '#a-face')}")
    return "\n\n".join(texts)


def _parquet(schema: Any) -> str:
    table = "\n".join(f"| `{field.name}` | `{field.type}` |" for field in schema)
    return f"| column | Arrow type |\n|---|---|\n{table}"


_PARTS = {
    "commands": _commands,
    "http": _http,
    "json": _schema,
    "parquet batch": lambda: _parquet(rows.schema(True)),
    "parquet faces": lambda: _parquet(FACES.schema()),
    "parquet frames": lambda: _parquet(FRAMES.schema()),
}
