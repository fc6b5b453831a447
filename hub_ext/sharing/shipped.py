"""The workflows that ship with a release, published under `people.EXAMPLES`."""

from __future__ import annotations

from pathlib import Path

import structlog

from hub_ext.errors import HubExtError, TooLarge
from hub_ext.people import EXAMPLES, Person
from hub_ext.sharing.names import suggest_name
from hub_ext.sharing.publishing import Draft, Published, Publisher, inspect

_log = structlog.get_logger(__name__)


def publish_shipped(publisher: Publisher, folder: Path) -> list[Published]:
    """Publish every notebook of a folder for everybody; what is published already stays as it is.

    A file that cannot be published is logged, and leaves the others as they are.

    Args:
        publisher: Publishes.
        folder: Where the notebooks lie; its subfolders do not count.

    Returns:
        One for each notebook that is published now, by name of its file.
    """
    published = []
    for path in sorted(folder.glob("*.ipynb")):
        try:
            published.append(_publish(publisher, path))
        except HubExtError as error:
            _log.error("a shipped workflow cannot be published", file=path.name, why=error.detail)
        except OSError as error:
            _log.error("a shipped workflow cannot be read", file=path.name, why=type(error).__name__)
    return published


def _publish(publisher: Publisher, path: Path) -> Published:
    if path.stat().st_size > publisher.settings.upload_limit:
        raise TooLarge(f"{path.name} is larger than what may be published.")
    data = path.read_bytes()
    person = Person(EXAMPLES)
    about = inspect(data, settings=publisher.settings, catalog=publisher.catalog.current(), person=person)
    draft = Draft(
        data=data,
        name=suggest_name(path.stem),
        title=about.title or None,
        description=about.description,
        tags=about.tags,
        visibility="everyone",
        message="Shipped with this release.",
    )
    return publisher.publish(person, draft)
