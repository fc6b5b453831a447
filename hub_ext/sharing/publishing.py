"""From a notebook file to a version of a workflow.

A version is immutable: notebook, schema and profile. Title, description, tags and who sees it belong to the workflow.
What a draft leaves out stays as it is; for a new workflow it comes from the notebook. A notebook that the workflow has
already makes no version: it answers with the one there is, and what the draft says about the workflow is still applied.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from hub_ext import audit
from hub_ext.access.loading import load_entitlements
from hub_ext.catalog.entitled import Entitled
from hub_ext.catalog.loading import Catalog
from hub_ext.db.session import Database
from hub_ext.db.tables import Version, Workflow
from hub_ext.db.types import now
from hub_ext.decisions import CatalogStore
from hub_ext.errors import Conflict, Forbidden, InvalidInput, Problem
from hub_ext.people import Person
from hub_ext.settings import HubExt
from hub_ext.sharing.access import publishable_owners
from hub_ext.sharing.fields import Fields, check_fields, check_text, put_fields, refused, sharing_of
from hub_ext.sharing.inspecting import Inspection, check_profile, findings_of, inspect
from hub_ext.sharing.names import check_name
from hub_ext.store import Store

LONGEST_MESSAGE = 1000

_TRIES = 20  # each lost race means that somebody else's version was made

__all__ = ["Draft", "Inspection", "Published", "Publisher", "inspect"]


@dataclass(frozen=True)
class Draft:
    """What somebody publishes; None: not said.

    Attributes:
        data: The notebook file.
        name: Name of the workflow.
        title: Its title.
        description: What it answers.
        tags: Its tags.
        profile: Name of the profile that its runs get.
        visibility: ``private``, ``groups`` or ``everyone``.
        groups: Groups that see it.
        owner: The person (if None), or a group whose publisher she is.
        message: What is new in this version.
    """

    data: bytes
    name: str
    title: str | None = None
    description: str | None = None
    tags: tuple[str, ...] | None = None
    profile: str | None = None
    visibility: str | None = None
    groups: tuple[str, ...] | None = None
    owner: str | None = None
    message: str = ""

    @property
    def fields(self) -> Fields:
        """What it says about the workflow."""
        return Fields(self.title, self.description, self.tags, self.visibility, self.groups)


@dataclass(frozen=True)
class Published:
    """What publishing led to.

    Attributes:
        workflow_id: Id of the workflow.
        owner: Its owner.
        name: Its name.
        version: Number of the version that holds the notebook.
        created: Whether this version is new.
    """

    workflow_id: str
    owner: str
    name: str
    version: int
    created: bool


@dataclass(frozen=True)
class _Ready:
    """A draft that was checked as far as it can be without the database, with its files stored."""

    draft: Draft
    owner: str
    message: str
    inspection: Inspection
    notebook: str
    picture: str | None


class Publisher:
    """Publishes notebooks.

    Args:
        database: Where workflows and versions are.
        store: Where notebooks and pictures are.
        catalog_store: The profiles.
        settings: Says how large a notebook may be.
    """

    def __init__(self, database: Database, store: Store, catalog_store: CatalogStore, settings: HubExt) -> None:
        self.database = database
        self.store = store
        self.catalog = catalog_store
        self.settings = settings

    def publish(self, person: Person, draft: Draft) -> Published:
        """Publish a notebook as the next version of a workflow, or as a new workflow.

        Args:
            person: Who publishes.
            draft: What.

        Returns:
            The version that holds the notebook, made now or there before.

        Raises:
            InvalidInput: If something in the draft cannot be accepted; `problems` name the fields.
            TooLarge: If the notebook is too large.
            Unsupported: If its language is not Python.
            Forbidden: If she may not publish for the owner; the attempt is audited.
            Conflict: If the workflow has this notebook already with another profile.
            StorageFull: If there is no space.
        """
        name = check_name(draft.name)
        owner = self._owner(person, draft, name)
        catalog = self.catalog.current()
        self._check(person, draft, owner, catalog)
        hers = self._entitlements(person)
        inspection = inspect(draft.data, settings=self.settings, catalog=catalog, person=person, entitlements=hers)
        ready = self._store(draft, owner, inspection)
        for _ in range(_TRIES):
            try:
                with self.database.write() as session:
                    return self._commit(session, person, ready, catalog)
            except IntegrityError:
                continue  # two at once: the other one's rows are there now
        raise Conflict("Others publish this workflow at this very moment.", hint="Try again.")

    def _entitlements(self, person: Person) -> tuple[Entitled, ...]:
        with self.database.read() as session:
            return load_entitlements(session, person.name, person.groups, now())

    def _owner(self, person: Person, draft: Draft, name: str) -> str:
        owner = draft.owner or person.name
        if owner in publishable_owners(person):
            return owner
        with self.database.write() as session:
            audit.record(
                session, person.name, "workflow.publish", ("workflow", f"{printable(owner)}/{name}"), outcome="denied"
            )
        raise Forbidden(
            f"You may publish for yourself and for groups that you are a publisher of, not for {printable(owner)}.",
            hint="Ask for a place in the group's publishers.",
            problems=[Problem("owner", f"may be {' or '.join(publishable_owners(person)[:20])}")],
        )

    def _check(self, person: Person, draft: Draft, owner: str, catalog: Catalog) -> None:
        """Say everything that is wrong with a draft at once, before its notebook is read."""
        problems: list[Problem] = []
        with self.database.read() as session:
            sharing = sharing_of(_find(session, owner, draft.name))
        try:
            check_fields(draft.fields, person, sharing)
        except InvalidInput as error:
            problems += error.problems
        try:
            if draft.profile is not None:
                check_profile(draft.profile, catalog)
        except InvalidInput as error:
            problems += error.problems
        try:
            check_text(draft.message, LONGEST_MESSAGE, lines=True)
        except ValueError as error:
            problems.append(Problem("message", str(error)))
        if problems:
            raise refused(problems)

    def _store(self, draft: Draft, owner: str, inspection: Inspection) -> _Ready:
        """Store the files first: one that no row names does no harm, a row without its file would."""
        notebook = self._put("versions", inspection.notebook.to_bytes(), "ipynb")
        image = inspection.notebook.picture
        picture = self._put("pictures", image, "png") if image else None
        message = check_text(draft.message, LONGEST_MESSAGE, lines=True)
        return _Ready(draft, owner, message, inspection, notebook, picture)

    def _put(self, folder: str, data: bytes, suffix: str) -> str:
        key = f"{folder}/{hashlib.sha256(data).hexdigest()}.{suffix}"
        if not self.store.exists(key):
            self.store.put(key, data)
        return key

    def _commit(self, session: Session, person: Person, ready: _Ready, catalog: Catalog) -> Published:
        workflow = _find(session, ready.owner, ready.draft.name, lock=True)
        is_new = workflow is None
        fields = check_fields(ready.draft.fields, person, sharing_of(workflow))
        if workflow is None:
            workflow = Workflow(owner=ready.owner, name=ready.draft.name, title="", tags=[], description="")
            workflow.visibility = "private"
            session.add(workflow)
            session.flush()
            fields = _with_notebooks_own(fields, ready)
        version = _same_notebook(session, workflow, ready)
        created = version is None
        if version is None:
            version = _next_version(session, workflow, person, ready, catalog)
        changed = put_fields(session, workflow, fields)
        if created and ready.picture and ready.picture != workflow.picture:
            workflow.picture = ready.picture
        if created or changed:
            workflow.updated_at = now()
            _record(session, person, workflow, version, is_new=is_new, created=created, changed=changed)
        session.flush()
        return Published(workflow.id, workflow.owner, workflow.name, version.number, created)


def _find(session: Session, owner: str, name: str, *, lock: bool = False) -> Workflow | None:
    query = select(Workflow).where(Workflow.owner == owner, Workflow.name == name)
    return session.scalar(query.with_for_update() if lock else query)


def _with_notebooks_own(fields: Fields, ready: _Ready) -> Fields:
    about = ready.inspection
    return replace(
        fields,
        title=fields.title or about.title or ready.draft.name.replace("-", " ").capitalize(),
        description=about.description if fields.description is None else fields.description,
        tags=about.tags if fields.tags is None else fields.tags,
    )


def _same_notebook(session: Session, workflow: Workflow, ready: _Ready) -> Version | None:
    """Return the version that holds this notebook already."""
    digest = ready.inspection.notebook.digest
    query = select(Version).where(Version.workflow_id == workflow.id, Version.digest == digest)
    version = session.scalar(query)
    wanted = ready.draft.profile
    if version is not None and wanted not in (None, version.profile):
        raise Conflict(
            f"Version {version.number} is this same notebook and runs with the profile {version.profile}; a version "
            "never changes.",
            hint="Change the notebook to publish it with another profile, or choose the profile with each run.",
            problems=[Problem("profile", f"must be {version.profile} for this notebook, or left out")],
        )
    return version


def _next_version(session: Session, workflow: Workflow, person: Person, ready: _Ready, catalog: Catalog) -> Version:
    about = ready.inspection
    version = Version(
        workflow_id=workflow.id,
        number=workflow.latest + 1 if workflow.latest else 1,
        digest=about.notebook.digest,
        author=person.name,
        message=ready.message,
        profile=_profile(session, workflow, ready, catalog),
        schema=about.schema,
        findings=findings_of(about.parameters),
        cells=about.notebook.code_cell_count,
        notebook=ready.notebook,
    )
    session.add(version)
    workflow.latest = version.number
    session.flush()
    return version


def _profile(session: Session, workflow: Workflow, ready: _Ready, catalog: Catalog) -> str:
    """The draft's, else the notebook's, else the one of the version before, else the usual one."""
    if ready.draft.profile is not None:
        return ready.draft.profile
    asked = ready.inspection.notebook.profile
    if asked is not None and catalog.versions(asked):
        return asked
    before = session.scalar(
        select(Version.profile).where(Version.workflow_id == workflow.id, Version.number == workflow.latest)
    )
    if before is not None and catalog.versions(before):
        return before
    if ready.inspection.profile is None:
        raise InvalidInput.of("profile", "name the profile that its runs get: you may use none yourself")
    return ready.inspection.profile


def _record(
    session: Session,
    person: Person,
    workflow: Workflow,
    version: Version,
    *,
    is_new: bool,
    created: bool,
    changed: list[str],
) -> None:
    detail = {
        "id": workflow.id,
        "version": version.number,
        "digest": version.digest,
        "new_workflow": is_new,
        "new_version": created,
        "changed": changed,
        "visibility": workflow.visibility,
        "groups": sorted(row.group for row in workflow.groups),
    }
    audit.record(
        session, person.name, "workflow.publish", ("workflow", f"{workflow.owner}/{workflow.name}"), detail=detail
    )
    audit.announce(session, "workflows", {"id": workflow.id})


def printable(text: object) -> str:
    """Return what somebody sent, short and without what a database or a page cannot hold."""
    return "".join(char if char.isprintable() else "?" for char in str(text)[:100])
