"""Roles in docstrings, such as ``:class:`Faces```, as the code that they name."""

import re

import griffe

_ROLE = re.compile(r":(?:class|meth|func|data|attr|mod|exc):`~?([^`]+)`")


class PlainRoles(griffe.Extension):
    """Replace every role by its name, shown as code."""

    def on_instance(self, *, obj: griffe.Object, **more: object) -> None:
        """Change the docstring of an object that was read."""
        if obj.docstring is not None:
            obj.docstring.value = _ROLE.sub(r"``\1``", obj.docstring.value)
