"""A notebook as a page: its texts, its code and the outputs that it was saved with."""

import base64
import json
import re
from pathlib import Path
from typing import Any

_PICTURES = {"image/png": ".png", "image/jpeg": ".jpg", "image/svg+xml": ".svg"}
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def page(notebook: Path) -> tuple[str, dict[str, bytes]]:
    """Return the page of a notebook as Markdown, and its pictures by their names.

    Raises:
        ValueError: the notebook was saved with an error, or without outputs.
    """
    content = json.loads(notebook.read_text(encoding="utf-8"))
    pictures: dict[str, bytes] = {}
    texts = []
    for cell in content["cells"]:
        text = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            texts.append(text)
        elif cell["cell_type"] == "code":
            texts.append(f"```python\n{text}\n```")
            texts += [_output(each, notebook.stem, pictures) for each in cell["outputs"]]
    if not any("outputs" in cell and cell["outputs"] for cell in content["cells"]):
        raise ValueError(f"{notebook}: expected a notebook that was executed, found no outputs")
    title, rest = texts[0].partition("\n\n")[::2]
    source = f"https://github.com/facegeom/facegeom/blob/main/docs/notebooks/{notebook.name}"
    where = f"*This page shows the notebook [{notebook.name}]({source}).*"
    return "\n\n".join([title, where, rest, *texts[1:]]) + "\n", pictures


def _output(output: dict[str, Any], stem: str, pictures: dict[str, bytes]) -> str:
    """Return one output of a cell as Markdown; add its picture."""
    if output["output_type"] == "error":
        raise ValueError(f"{stem}: it was saved with an error, {output['ename']}")
    if output["output_type"] == "stream":
        return _text("".join(output["text"]))
    data = output["data"]
    for kind, ending in _PICTURES.items():
        if kind in data:
            name, encoded = f"{stem}.{len(pictures)}{ending}", "".join(data[kind])
            pictures[name] = encoded.encode() if kind.endswith("xml") else base64.b64decode(encoded)
            return f"![Output of the cell above]({name})"
    if "text/markdown" in data:
        return "".join(data["text/markdown"])
    return _text("".join(data["text/plain"]))


def _text(text: str) -> str:
    """Return printed text as a block."""
    return "```text\n" + _COLOURS.sub("", text).rstrip() + "\n```"
