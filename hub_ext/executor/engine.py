"""The engine that papermill is asked for as ``hub-ext``."""

from __future__ import annotations

from typing import Any

from papermill.engines import Engine as PapermillEngine
from papermill.engines import NBClientEngine

NAME = "hub-ext"


class Engine(PapermillEngine):
    """Runs a notebook in the kernel of a launch; without one, as papermill itself would."""

    @classmethod
    def execute_managed_notebook(cls, nb_man: Any, kernel_name: str, **kwargs: Any) -> Any:
        """Run all cells of a notebook.

        Args:
            nb_man: papermill's view of the notebook.
            kernel_name: Name of the kernel, used without a launch.
            kwargs: With ``execution``, the launch it is a part of.
        """
        execution = kwargs.pop("execution", None)
        if execution is None:
            return NBClientEngine.execute_managed_notebook(nb_man, kernel_name, **kwargs)
        from .client import Client

        execution.begin(nb_man.nb)
        return Client(nb_man, execution).execute()
