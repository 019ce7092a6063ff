"""The command ``facegeom``. Heavy imports live inside the commands, so that ``--help`` is quick."""


def main() -> None:
    """Entry point of the console script."""
    from facegeom.cli.root import app

    app()
