"""The fields for what people say about a workflow: title, description, tags, who sees it. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from hub_ext.errors import Problem
from hub_ext.people import Person
from hub_ext.sharing.access import publishable_owners
from hub_ext.web.pages.forms import Choice, Field
from hub_ext.web.pages.views import WorkflowView

NAMES = ("name", "title", "description", "tags", "profile", "visibility", "groups", "owner", "message")

_VISIBILITIES = {
    "private": "Only its owner",
    "groups": "People in some groups",
    "everyone": "Everyone who can sign in",
}


@dataclass(frozen=True)
class Said:
    """What is said about a workflow."""

    title: str = ""
    description: str = ""
    tags: tuple[str, ...] = ()
    visibility: str = "private"
    groups: tuple[str, ...] | None = None


def said_by(view: WorkflowView) -> Said:
    """Return what is said about a workflow now."""
    workflow = view.workflow
    return Said(workflow.title, workflow.description, tuple(workflow.tags), workflow.visibility, tuple(view.groups))


def read_about(typed: Mapping[str, list[str]]) -> Said:
    """Return what a form says; the fields are checked where they are stored.

    Args:
        typed: All fields of the form.
    """

    def last(name: str) -> str:
        return typed.get(name, [""])[-1]

    visibility = last("visibility")
    tags = tuple(tag.strip() for tag in re.split(r"[,\n]", last("tags")) if tag.strip())
    groups = tuple(typed.get("groups", ())) if visibility == "groups" else None
    return Said(last("title"), last("description"), tags, visibility, groups)


def about_fields(
    said: Said, person: Person, shared: Iterable[str] = (), problems: Iterable[Problem] = ()
) -> list[Field]:
    """Return the fields.

    Args:
        said: What is in them.
        person: Who fills them in: she may share with her groups.
        shared: Groups that see the workflow now.
        problems: What is wrong with what was typed.
    """
    errors = {problem.field: problem.message for problem in problems}
    reach = sorted({*person.groups, *publishable_owners(person)[1:], *shared, *(said.groups or ())})
    made = [*_texts(said), _visibility(said), *([_groups(said, reach)] if reach else [])]
    return [replace(field, error=errors.get(field.name, "")) for field in made]


def _texts(said: Said) -> list[Field]:
    answers = "What one learns from it, from which data, and what it does not say."
    title = Field("title", "a-title", "Title", value=said.title, required=True, attributes={"maxlength": 200})
    about = Field("description", "a-description", "What it answers", "textarea", said.description, (answers,), rows=4)
    tags = Field("tags", "a-tags", "Tags", value=", ".join(said.tags), hints=("Up to ten, with commas between.",))
    return [replace(title, hints=("As a question, if it answers one.",)), about, tags]


def _visibility(said: Said) -> Field:
    choices = tuple(Choice(key, words, key == said.visibility) for key, words in _VISIBILITIES.items())
    return Field("visibility", "a-visibility", "Who sees it", "radio", choices=choices, stacked=True)


def _groups(said: Said, reach: list[str]) -> Field:
    choices = tuple(Choice(group, group, group in (said.groups or ())) for group in reach)
    hints = ("Whoever is in any of these sees it.",)
    shown_for = "visibility=groups"
    return Field("groups", "a-groups", "Groups", "checkboxes", hints=hints, choices=choices, shown_for=shown_for)
