"""What a notebook would be as a workflow: shown before it is published, and the same afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from hub_ext.catalog.decide import Facts, may_use
from hub_ext.catalog.entitled import Entitled
from hub_ext.catalog.loading import Catalog
from hub_ext.catalog.models import Profile
from hub_ext.catalog.quantities import parse_size
from hub_ext.db.types import now
from hub_ext.errors import InvalidInput
from hub_ext.people import EXAMPLES, Person
from hub_ext.settings import HubExt
from hub_ext.sharing.fields import MOST_TAGS, check_tags
from hub_ext.sharing.names import suggest_name
from hub_ext.sharing.notebooks import Notebook, read_notebook
from hub_ext.sharing.parameters import Parameters, infer

# The profile of a workflow that names none, where there is one of this name; else the one with the least memory.
USUAL_PROFILE = "standard"


@dataclass(frozen=True)
class Inspection:
    """A notebook, as it would be published.

    Attributes:
        notebook: The notebook.
        parameters: Its parameters.
        schema: Their JSON Schema.
        findings: What the author should know: ``{"message", "fix", "line"}``, the line where there is one.
        name: A name that would do.
        title: From the notebook; may be empty.
        description: From the notebook; may be empty.
        tags: From the notebook.
        profile: The profile that would be used; None if the person may use none.
    """

    notebook: Notebook
    parameters: Parameters
    schema: dict[str, Any]
    findings: list[dict[str, Any]]
    name: str
    title: str
    description: str
    tags: tuple[str, ...]
    profile: str | None


def inspect(
    data: bytes, *, settings: HubExt, catalog: Catalog, person: Person, entitlements: tuple[Entitled, ...] = ()
) -> Inspection:
    """Say what a notebook would be as a workflow; nothing is stored.

    Args:
        data: The notebook file.
        settings: Says how large it may be.
        catalog: The profiles.
        person: Who would publish it.
        entitlements: Hers.

    Raises:
        InvalidInput: If it is not a notebook, or its parameters cannot be understood; names the lines.
        TooLarge: If it is larger than `settings.upload_limit`.
        Unsupported: If its language is not Python.
    """
    notebook = read_notebook(data, limit=settings.upload_limit)
    parameters = infer(notebook)
    tags, about_tags = _fitting_tags(notebook.tags)
    profile, about_profile = _profile(
        notebook.profile, Facts(now(), person.groups, catalog, entitlements=entitlements), person
    )
    return Inspection(
        notebook=notebook,
        parameters=parameters,
        schema=parameters.json_schema(),
        findings=[*findings_of(parameters), *about_tags, *about_profile],
        name=suggest_name(notebook.title),
        title=notebook.title,
        description=notebook.description,
        tags=tags,
        profile=profile,
    )


def findings_of(parameters: Parameters) -> list[dict[str, Any]]:
    """Return what is to be known about parameters, as JSON."""
    return [finding(item.message, item.fix, item.line) for item in parameters.warnings]


def finding(message: str, fix: str, line: int | None = None) -> dict[str, Any]:
    """Return one thing that the author should know, as JSON."""
    return {"message": message, "fix": fix} | ({} if line is None else {"line": line})


def _fitting_tags(tags: Sequence[str]) -> tuple[tuple[str, ...], list[dict[str, Any]]]:
    fitting: list[str] = []
    for tag in tags:
        try:
            fitting += check_tags([tag])
        except ValueError:
            continue
    kept = tuple(fitting[:MOST_TAGS])
    left = [tag for tag in tags if tag not in kept]
    if not left:
        return kept, []
    message = f"The notebook's tags {', '.join(left)} are left out: a workflow has at most {MOST_TAGS} short ones."
    return kept, [finding(message, "Name the tags that matter in metadata.hub_ext.tags, or here.")]


def usable_profiles(facts: Facts) -> list[Profile]:
    """Return the newest version of each profile that a person may use, the least memory first.

    Args:
        facts: What is true of her.
    """
    usable = [profile for profile in facts.catalog.newest() if may_use(profile, facts) is None]
    return sorted(usable, key=lambda profile: (parse_size(profile.spec.resources.memory.limit), profile.name))


def usual_profile(facts: Facts, person: Person) -> str | None:
    """Return the name of the profile for a workflow that names none; None if the person may use none.

    Args:
        facts: What is true of her.
        person: Who she is.
    """
    usable = facts.catalog.newest() if person.name == EXAMPLES else usable_profiles(facts)
    names = [profile.name for profile in usable]
    return USUAL_PROFILE if USUAL_PROFILE in names else next(iter(names), None)


def check_profile(name: object, catalog: Catalog) -> str:
    """Return the name of a profile that exists.

    Args:
        name: What was sent.
        catalog: The profiles.

    Raises:
        InvalidInput: If there is none of this name.
    """
    if isinstance(name, str) and catalog.versions(name):
        return name
    known = [profile.name for profile in catalog.newest()]
    near = get_close_matches(str(name)[:100], known, n=1)
    hint = f"; did you mean {near[0]}?" if near else f"; there are {', '.join(known) or 'none'}"
    raise InvalidInput.of("profile", f"there is no profile {str(name)[:80]!r}{hint}")


def _profile(wanted: str | None, facts: Facts, person: Person) -> tuple[str | None, list[dict[str, Any]]]:
    usual = usual_profile(facts, person)
    if wanted is None:
        return usual, []
    versions = facts.catalog.versions(wanted)
    if not versions:
        message = f"The notebook asks for the profile {wanted}, which does not exist here."
        return usual, [finding(message, f"Choose another one, or it will be {usual}." if usual else "Ask a curator.")]
    denied = may_use(versions[-1], facts)
    if denied is None or person.name == EXAMPLES:
        return wanted, []
    message = f"{denied.message} Others who may use it can run the workflow; you cannot."
    return wanted, [finding(message, f"Choose another profile, or ask for access to this one: {denied.ask} keeps it.")]
