"""The command ``facegeom``. Heavy imports live inside the commands, so that ``--help`` is quick."""


def main() -> None:
    """Entry point of the console script."""
    try:
        from facegeom.cli.root import app
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    app()
