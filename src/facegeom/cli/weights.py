"""``facegeom weights``: the sets of networks that ship, with their terms."""

from typing import Annotated, Literal

import typer


def weights(
    family: Annotated[
        Literal["research", "free"] | None,
        typer.Option("--set", help="Show this set alone.", show_default="both"),
    ] = None,
    credits: Annotated[
        bool, typer.Option(help="Show whom the terms of the free sources ask to name.")
    ] = False,
) -> None:
    """List the networks that ship: files, sizes, terms of use, and what they were trained on.

    Example: facegeom weights --set free --credits
    """
    from facegeom.models.weights import FREE, RESEARCH, credits_file, manifest

    for name in (RESEARCH, FREE) if family is None else (family,):
        entries = [entry for entry in manifest().values() if entry.family == name]
        if not entries:
            typer.echo(f"{name} set. No networks in this version.")
        for terms in dict.fromkeys(entry.licence for entry in entries):
            typer.echo(f"{name} set. {terms}")
            for entry in (entry for entry in entries if entry.licence == terms):
                files = ", ".join(f"{path.name} ({path.stat().st_size / 1e6:.2f} MB)" for path in entry.paths)
                typer.echo(f"  {entry.name:15} {files}")
        sources = sorted((each for entry in entries for each in entry.sources), key=lambda each: each.count)
        for source in {each.name: each for each in sources}.values():  # of each the network that saw most
            shown = f"; credit: {source.credit}" if credits and source.credit else ""
            typer.echo(f"    {source.count:6} x {source.name}: {source.licence}{shown}")
    if credits and family != RESEARCH:
        typer.echo(credits_file().read_text(encoding="utf-8").rstrip())
