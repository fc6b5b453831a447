"""Notebooks, people and a publisher."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import nbformat
import pytest

from hub_ext.db.session import Database
from hub_ext.decisions import CatalogStore
from hub_ext.people import Person
from hub_ext.settings import HubExt
from hub_ext.sharing.publishing import Draft, Publisher
from hub_ext.store import Store

Make = Callable[..., bytes]


def _notebook(
    code: str = "print(start)",
    *,
    parameters: str | None = "start = 3",
    title: str | None = "Rain by month",
    text: str = "How much it rained.",
    picture: str | None = None,
    **about: Any,
) -> bytes:
    cells = []
    if title is not None:
        cells.append(nbformat.v4.new_markdown_cell(f"# {title}\n\n{text}"))
    if parameters is not None:
        cells.append(nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]}))
    outputs = [nbformat.v4.new_output("display_data", {"image/png": picture})] if picture else []
    cells.append(nbformat.v4.new_code_cell(code, outputs=outputs, metadata={"tags": ["picture"]} if picture else {}))
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    metadata = {"kernelspec": kernel, "hub_ext": about} if about else {"kernelspec": kernel}
    return nbformat.writes(nbformat.v4.new_notebook(cells=cells, metadata=metadata)).encode()


@pytest.fixture
def make_notebook() -> Make:
    """Make the bytes of a notebook; every `code` is a content of its own."""
    return _notebook


@pytest.fixture
def catalog_store(settings: HubExt) -> CatalogStore:
    """The profiles that ship."""
    return CatalogStore(settings)


@pytest.fixture
def publisher(database: Database, store: Store, catalog_store: CatalogStore, settings: HubExt) -> Publisher:
    """A publisher."""
    return Publisher(database, store, catalog_store, settings)


@pytest.fixture
def amy() -> Person:
    """An analyst, and publisher for her team."""
    return Person("amy", frozenset({"analysts", "rivers", "rivers-publishers"}))


@pytest.fixture
def ben() -> Person:
    """Another analyst of the same team."""
    return Person("ben", frozenset({"analysts", "rivers"}))


@pytest.fixture
def eve() -> Person:
    """An analyst of no team."""
    return Person("eve", frozenset({"analysts"}))


@pytest.fixture
def publish(publisher: Publisher, amy: Person) -> Callable[..., Any]:
    """Publish a small notebook as amy, or as somebody else."""

    def publish(name: str, person: Person = amy, data: bytes | None = None, **fields: Any) -> Any:
        return publisher.publish(person, Draft(data=data or _notebook(f"print({name!r})"), name=name, **fields))

    return publish
