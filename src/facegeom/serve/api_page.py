"""The HTTP API as a page for people: the OpenAPI document as HTML, without scripts and other hosts."""

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

router = APIRouter(include_in_schema=False)

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>facegeom: HTTP API</title>
<link rel="icon" href="static/icon.svg">
<link rel="stylesheet" href="static/docs.css">
<main>
<h1>HTTP API of facegeom {version}</h1>
<p>For programs: <a href="openapi.json">openapi.json</a>. For people: <a href="./">the page</a>.</p>
<pre><code>curl -F file=@photo.jpg {base}v1/analyze</code></pre>
{content}
</main>
</html>
"""


@router.get("/docs")
async def docs(request: Request) -> HTMLResponse:
    """Return the page."""
    base, version = escape(str(request.base_url)), request.app.version
    return HTMLResponse(_PAGE.format(version=version, base=base, content=render(request.app.openapi())))


def render(openapi: Mapping[str, Any]) -> str:
    """Return what an OpenAPI document says as HTML: a section for each request, then the schemas."""
    return "\n".join([*_requests(openapi["paths"]), *_schemas(openapi["components"]["schemas"])])


def _requests(paths: Mapping[str, Any]) -> Iterator[str]:
    for path, methods in paths.items():
        for method, about in methods.items():
            yield f'<h2 id="{about["operationId"]}">{method.upper()} {escape(path)}</h2>'
            yield f"<p>{escape(about['description'])}</p>"
            if about.get("parameters"):
                yield from table(
                    "Option of the query", "Values", "Meaning", map(_option, about["parameters"])
                )
            if body := about.get("requestBody"):
                kinds = ", ".join(f"<code>{escape(kind)}</code>" for kind in body["content"])
                yield f"<p>Body: {kinds}. {escape(body['description'])}</p>"
            yield from table("Status", "Body", "Meaning", map(_response, about["responses"].items()))


def _schemas(schemas: Mapping[str, Any]) -> Iterator[str]:
    for name, schema in schemas.items():
        yield f'<h2 id="schema-{name}">{name}</h2>'
        kind = "" if "properties" in schema else _kind(schema)
        yield f"<p>{escape(schema.get('description', ''))} {kind}</p>"
        if not kind:
            yield from table("Field", "Type", "Meaning", fields(schema))


def fields(schema: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str, str]]:
    """Yield the fields of an object, and those of the objects in it with their path."""
    for name, field in schema["properties"].items():
        optional = "" if name in schema.get("required", ()) else " (optional)"
        yield f"<code>{prefix}{name}</code>{optional}", _kind(field), escape(field.get("description", ""))
        if "properties" in field and len(field["properties"]) < 50:
            yield from fields(field, f"{prefix}{name}.")


def _option(option: Mapping[str, Any]) -> tuple[str, str, str]:
    schema = option["schema"]
    default = f", default {schema['default']}" if schema.get("default") is not None else ""
    return f"<code>{option['name']}</code>", _kind(schema) + default, escape(option.get("description", ""))


def _response(response: tuple[str, Mapping[str, Any]]) -> tuple[str, str, str]:
    status, about = response
    kinds = []
    for kind, content in about.get("content", {}).items():
        target = content.get("schema", {}).get("$ref")
        kinds.append(f"<code>{escape(kind)}</code>" + (f": {_kind({'$ref': target})}" if target else ""))
    return status, "<br>".join(kinds), escape(about["description"])


def _kind(schema: Mapping[str, Any]) -> str:
    """Return the type of a value, with its range or its values."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f'<a href="#schema-{name}">{name}</a>'
    if "anyOf" in schema:
        return " or ".join(_kind(each) for each in schema["anyOf"] if each.get("type") != "null")
    if "enum" in schema or "const" in schema:
        return ", ".join(f"<code>{value}</code>" for value in schema.get("enum", [schema.get("const")]))
    if schema.get("type") == "array":
        items = schema.get("items") or schema.get("prefixItems", [{"type": "value"}])[0]
        count = f"{schema['minItems']} " if schema.get("minItems") == schema.get("maxItems", 0) else ""
        return f"list of {count}{_kind(items)}"
    types = schema.get("type", "value")
    kind = " or ".join(types) if isinstance(types, list) else str(types)
    least, most = schema.get("minimum", schema.get("exclusiveMinimum")), schema.get("maximum")
    if least is None and most is None:
        return kind
    return f"{kind}, {least:.10g} to {most:.10g}" if most is not None else f"{kind}, at least {least:.10g}"


def table(*cells: Any) -> Iterator[str]:
    """Yield a table from its headings and, last, its rows."""
    *head, rows = cells
    yield "<table><thead><tr>" + "".join(f"<th>{each}</th>" for each in head) + "</tr></thead><tbody>"
    yield from ("<tr>" + "".join(f"<td>{each}</td>" for each in row) + "</tr>" for row in rows)
    yield "</tbody></table>"
