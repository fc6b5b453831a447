"""The figures say that a file is broken while its last good content holds, and that it is whole again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from hub_ext.db.session import Database
from hub_ext.governance.curation import Curation
from hub_ext.governance.store import CatalogStore
from hub_ext.people import Person
from hub_ext.repository.syncing import Repository
from hub_ext.settings import HubExt
from hub_ext.web.metrics import exposition
from tests.governance.conftest import profile_text

CLEO = Person("cleo", roles=frozenset({"curator"}))


@pytest.fixture
def figures(settings: HubExt, database: Database, tmp_path: Path) -> Callable[[], list[str]]:
    settings.profiles_dir = str(tmp_path / "profiles")
    (tmp_path / "profiles" / "maps").mkdir(parents=True)
    catalog = CatalogStore(settings, database)
    Curation(database, catalog, settings).propose(CLEO, profile_text("rivers"))

    def read() -> list[str]:
        catalog.refresh()
        context = SimpleNamespace(
            catalog=catalog, database=database, repository=Repository(database, catalog, settings)
        )
        return exposition(context).decode().splitlines()  # type: ignore[arg-type]  # the parts that it looks at

    return read


def test_a_load_that_failed_is_a_figure_until_it_is_put_right(
    figures: Callable[[], list[str]], settings: HubExt
) -> None:
    path = settings.profiles / "maps" / "1.yaml"
    path.write_text(profile_text())
    found = figures()
    assert "hub_ext_catalog_last_load_failed 0.0" in found
    assert 'hub_ext_profile_versions{state="proposed"} 1.0' in found
    path.write_text(profile_text().replace("memory:", "memroy:"))
    broken = figures()
    assert "hub_ext_catalog_last_load_failed 1.0" in broken
    assert "hub_ext_catalog_problems 2.0" in broken
    path.write_text(profile_text(memory="8Gi"))
    assert "hub_ext_catalog_problems 0.0" in figures()


def test_no_figure_is_about_a_person(figures: Callable[[], list[str]]) -> None:
    assert "cleo" not in "\n".join(figures())
