"""A notebook server starts without the Hub's database, its pages and yarn, of which it uses nothing.

`jupyterhub.singleuser` shares modules with the Hub. By one class for `isinstance`, one for `except` and names within
functions of the Hub they import all of SQLAlchemy, Alembic and the Hub's handlers: 0.4 of 0.9 s, and 37 of 100 MB as
long as it runs. JupyterLab asks `node` for yarn's settings when it is imported, and needs them to build extensions.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

# What is taken from each while JupyterHub's modules are imported. Nothing in a notebook server is of these classes.
_LATER: dict[str, tuple[type, ...]] = {
    "jupyterhub.handlers.pages": (type("HealthCheckHandler", (), {}),),
    "jupyterhub.orm": (),
    "jupyterhub.roles": (),
    "sqlalchemy": (),
    "sqlalchemy.exc": (type("SQLAlchemyError", (Exception,), {}),),
}


class _Later(ModuleType):
    """A module that is imported once something of it is asked for: until then, what is named here is all of it."""

    def __init__(self, name: str, has: tuple[type, ...]) -> None:
        super().__init__(name)
        vars(self).update({one.__name__: one for one in has})

    def __getattr__(self, name: str) -> Any:
        if sys.modules.get(self.__name__) is self:
            raise AttributeError(f"{self.__name__} is imported later and has no {name!r} yet.")
        return getattr(importlib.import_module(self.__name__), name)


def without_the_hub() -> None:
    """Import what a notebook server has of JupyterHub, and nothing of the Hub's own.

    What asks for the rest afterwards gets it: the true modules are imported then. With a JupyterHub whose modules take
    something else of each other, or none, nothing is changed.
    """
    later = {name: _Later(name, has) for name, has in _LATER.items() if name not in sys.modules}
    before = set(sys.modules)
    sys.modules.update(later)
    try:
        importlib.import_module("jupyterhub.log")
        importlib.import_module("jupyterhub.services.auth")
    except (ImportError, AttributeError):
        for name in set(sys.modules) - before:
            if name.partition(".")[0] == "jupyterhub":  # whole or not: it may have taken what is no true class
                del sys.modules[name]
    finally:
        for name, module in later.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]


def without_yarn() -> None:
    """Keep JupyterLab from asking `node` for yarn's settings; where it is not installed, nothing is done."""
    try:
        commands: Any = importlib.import_module("jupyterlab.commands")
    except ImportError:
        return
    if hasattr(commands, "_yarn_config"):
        commands._yarn_config = lambda _logger: {"yarn config": {}, "npm config": {}}
