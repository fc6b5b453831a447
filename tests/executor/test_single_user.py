"""A notebook server starts without the Hub's part of JupyterHub and without yarn; who asks later gets that part."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HUB = ("sqlalchemy", "alembic", "jupyterhub.orm", "jupyterhub.roles", "jupyterhub.handlers.pages")
AT_FIRST = """
import sys
from hub_ext.executor.single_user import without_the_hub
without_the_hub()
"""
# Modules of a JupyterHub of another version: of each other they take what this one's do not.
OTHERS = {
    "__init__.py": "",
    "orm.py": "class Base: there = True",
    "log.py": "from jupyterhub import orm\nclass Own(orm.Base): pass",
    "services/__init__.py": "",
    "services/auth.py": "from jupyterhub.orm import Base",
}


def told(program: str, **env: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, **env}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_notebook_server_has_nothing_of_the_hub() -> None:
    imported = f"import jupyterhub.singleuser.extension\nprint([name for name in {HUB!r} if name in sys.modules])"
    assert told("import sys\n" + imported) == str(list(HUB))
    assert told(AT_FIRST + imported) == "[]"


def test_whoever_asks_for_the_hubs_part_later_gets_it() -> None:
    program = """
import jupyterhub.scopes
print(jupyterhub.scopes.orm.User.__tablename__, jupyterhub.scopes.sa.func.now().__class__.__name__)
import sqlalchemy.exc, jupyterhub.orm, jupyterhub.handlers.pages
print(sqlalchemy.exc.NoResultFound.__mro__[1].__name__, jupyterhub.handlers.pages.HomeHandler.__name__)
"""
    assert told(AT_FIRST + program) == "users now\nInvalidRequestError HomeHandler"


def test_what_is_imported_already_stays() -> None:
    program = """
import sys, jupyterhub.orm, sqlalchemy.exc
before = jupyterhub.orm, sqlalchemy.exc
from hub_ext.executor.single_user import without_the_hub
without_the_hub()
import jupyterhub.utils
print(before == (sys.modules["jupyterhub.orm"], sys.modules["sqlalchemy.exc"]),
      jupyterhub.utils.SQLAlchemyError is sqlalchemy.exc.SQLAlchemyError)
"""
    assert told(program) == "True True"


def test_with_another_jupyterhub_everything_is_imported_as_it_would_be(tmp_path: Path) -> None:
    for name, text in OTHERS.items():
        (tmp_path / "jupyterhub" / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / "jupyterhub" / name).write_text(text)
    program = (
        "import jupyterhub.log, jupyterhub.services.auth as auth\nprint(jupyterhub.log.Own.there, auth.Base.there)"
    )
    assert told(AT_FIRST + program, PYTHONPATH=str(tmp_path)) == "True True"


def test_without_jupyterhub_nothing_is_done() -> None:
    blocked = "import sys\nsys.modules['jupyterhub'] = None\nsys.modules['jupyterlab'] = None\n"
    program = (
        "from hub_ext.executor.single_user import without_yarn\nwithout_yarn()\nprint('sqlalchemy.exc' in sys.modules)"
    )
    assert told(blocked + AT_FIRST + program) == "False"


@pytest.mark.parametrize("quickly", [False, True])
def test_jupyterlab_asks_no_yarn(tmp_path: Path, quickly: bool) -> None:
    node = tmp_path / "node"
    node.write_text(f'#!/bin/sh\necho "$*" >> {tmp_path}/asked\n')
    node.chmod(0o755)
    first = "from hub_ext.executor.single_user import without_yarn\nwithout_yarn()\n" if quickly else ""
    program = first + "import jupyterlab.labapp, jupyterlab.commands\nprint(jupyterlab.commands.AppOptions().registry)"
    assert told(program, PATH=f"{tmp_path}:{os.environ['PATH']}") == "https://registry.yarnpkg.com"
    assert (tmp_path / "asked").exists() is not quickly
