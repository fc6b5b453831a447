"""Profiles, as they are for the caller."""

from __future__ import annotations

from difflib import get_close_matches

from hub_ext.catalog.decide import Facts, may_use
from hub_ext.catalog.models import Profile
from hub_ext.errors import NotFound
from hub_ext.people import Person
from hub_ext.web.api import models
from hub_ext.web.api.operation import Answer, ApiHandler, operation
from hub_ext.web.context import Context


def list_profiles(context: Context, person: Person) -> list[models.ProfileItem]:
    """Return the newest version of every profile: those that she may use first, in their order.

    Args:
        context: The parts of the service.
        person: Who asks.
    """
    facts = context.decisions.facts_of(person.name, person.groups)
    items = [models.ProfileItem(**_fields(profile, facts)) for profile in facts.catalog.newest()]
    return sorted(items, key=lambda item: not item.usable)


def get_profile(context: Context, person: Person, name: str) -> models.Profile:
    """Return one profile.

    Args:
        context: The parts of the service.
        person: Who asks.
        name: Its name.

    Raises:
        NotFound: If there is none of this name.
    """
    facts = context.decisions.facts_of(person.name, person.groups)
    versions = facts.catalog.versions(name)
    if not versions:
        near = get_close_matches(name[:100], [profile.name for profile in facts.catalog.newest()], n=1)
        raise NotFound("There is no such profile.", hint=f"Did you mean {near[0]}?" if near else "")
    newest = versions[-1]
    return models.Profile(
        **_fields(newest, facts),
        digest=newest.digest,
        versions=[profile.version for profile in versions],
        spec=newest.spec.model_dump(mode="json", by_alias=True),
    )


def _fields(profile: Profile, facts: Facts) -> dict[str, object]:
    denied = may_use(profile, facts)
    spec, about = profile.spec, profile.metadata
    return {
        "name": profile.name,
        "version": profile.version,
        "title": about.title,
        "owner": about.owner,
        "tags": list(about.tags),
        "description": spec.description,
        "image": spec.image,
        "resources": spec.resources.model_dump(mode="json"),
        "lifetime": spec.lifetime.model_dump(mode="json"),
        "options": {name: option.model_dump(mode="json", exclude={"sets"}) for name, option in spec.options.items()},
        "usable": denied is None,
        "reason": denied.message if denied else "",
        "ask": denied.ask if denied else "",
    }


class Profiles(ApiHandler):
    """`profiles`."""

    @operation(
        "List the profiles",
        {200: Answer("The profiles, those that the caller may use first", models.ProfileList)},
    )
    async def get(self) -> None:
        """List the profiles."""
        items = await self.call(list_profiles, self.context, self.person)
        self.answer(models.ProfileList(items=items))


class OneProfile(ApiHandler):
    """`profiles/{name}`."""

    @operation("Show a profile", {200: Answer("The profile", models.Profile)})
    async def get(self, name: str) -> None:
        """Show a profile."""
        self.answer(await self.call(get_profile, self.context, self.person, name))
