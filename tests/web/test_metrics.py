"""The figures say that a file is broken while its last good content holds, and that it is whole again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
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
from tests.governance.conftest import Clock, profile_text
from tests.repository.conftest import Origin, Platform

CLEO = Person("cleo", roles=frozenset({"curator"}))
EVA = Person("eva", roles=frozenset({"curator"}))


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


def test_a_version_whose_removal_has_come_is_counted_as_removed(settings: HubExt, database: Database) -> None:
    clock = Clock()
    settings.approvals_required = 1
    settings.profiles_dir = str(settings.state)
    catalog = CatalogStore(settings, database, clock=clock)
    curation = Curation(database, catalog, settings)
    for number in (1, 2):
        made = curation.propose(CLEO, profile_text(version=number)).version
        curation.approve(EVA, made.digest)
        curation.deprecate(CLEO, "maps", number, removal=clock.at + timedelta(days=number))
    clock.forward(days=1)
    context = SimpleNamespace(catalog=catalog, database=database, repository=Repository(database, catalog, settings))
    found = exposition(context).decode().splitlines()  # type: ignore[arg-type]  # the parts that it looks at
    assert 'hub_ext_profile_versions{state="removed"} 1.0' in found
    assert 'hub_ext_profile_versions{state="deprecated"} 1.0' in found


def test_a_repository_has_figures_of_its_own(settings: HubExt, database: Database, tmp_path: Path) -> None:
    origin = Origin(tmp_path / "origin")
    settings.profiles_repository = str(origin.path)
    platform = Platform(settings, database)
    context = SimpleNamespace(catalog=platform.catalog, database=database, repository=platform.repository)

    def read() -> dict[str, str]:
        lines = exposition(context).decode().splitlines()  # type: ignore[arg-type]  # the parts that it looks at
        return dict(line.rsplit(" ", 1) for line in lines if line.startswith("hub_ext_profiles_"))

    assert read() == {
        "hub_ext_profiles_sync_ok": "0.0",
        'hub_ext_profiles_commit_info{commit="",ref="main"}': "1.0",
    }
    commit = origin.commit({"maps/1.yaml": profile_text()})
    platform.sync()
    found = read()
    assert found[f'hub_ext_profiles_commit_info{{commit="{commit}",ref="main"}}'] == "1.0"
    assert found["hub_ext_profiles_sync_ok"] == "1.0"
    assert 0 <= float(found["hub_ext_profiles_sync_age_seconds"]) < 600
    origin.commit({"maps/2.yaml": "{"})
    platform.sync()
    assert read()["hub_ext_profiles_sync_ok"] == "0.0"
