"""Who may entitle others to a profile: its owner, and curators.

``metadata.owner`` of a profile is one name: of a person, or of a group at the Hub, each of whose members then acts for
it. The highest version that can be started says who that is. (A group should never bear the name of a person.)
"""

from __future__ import annotations

from hub_ext import audit
from hub_ext.catalog.options import shown
from hub_ext.catalog.snapshot import Catalog
from hub_ext.db.session import Database
from hub_ext.errors import Forbidden
from hub_ext.people import Person

# Who sees all entitlements, requests and budgets.
READERS = ("curator", "auditor", "admin")


def owns(person: Person, owner: str) -> bool:
    """Return whether a person is the owner of something, or one of the group that is.

    Args:
        person: Who.
        owner: A name.
    """
    return owner == person.name or owner in person.groups


def owner_of(catalog: Catalog, profile: str) -> str:
    """Return the owner of a profile; empty when there is no such profile.

    Args:
        catalog: The snapshot.
        profile: Its name.
    """
    versions = catalog.versions(profile) or catalog.removed(profile)
    return versions[-1].metadata.owner if versions else ""


def owned_by(catalog: Catalog, person: Person) -> list[str]:
    """Return the names of the profiles that a person may entitle others to as their owner, with this session."""
    if not person.may_administer:
        return []
    return [one.name for one in catalog.newest() if owns(person, one.metadata.owner)]


def may_read_all(person: Person) -> bool:
    """Return whether a person sees all entitlements, requests and budgets."""
    return any(person.has_role(role) for role in READERS)


def may_entitle(person: Person, catalog: Catalog, profile: str) -> bool:
    """Return whether a person may entitle others to a profile, with this session.

    Args:
        person: Who.
        catalog: The snapshot.
        profile: Name of the profile.
    """
    owner = owner_of(catalog, profile)
    return person.has_role("curator") or (person.may_administer and bool(owner) and owns(person, owner))


def must_entitle(database: Database, person: Person, catalog: Catalog, profile: str, action: str) -> None:
    """Refuse, and audit, what somebody may not do.

    Args:
        database: Where the attempt is recorded.
        person: Who wants to act.
        catalog: The snapshot.
        profile: Name of the profile.
        action: What, for the record.

    Raises:
        Forbidden: If she is neither its owner nor a curator, with this session or token.
    """
    if may_entitle(person, catalog, profile):
        return
    with database.write() as session:
        audit.record(session, person.name, action, ("profile", shown(profile)), outcome="denied")
    owner = owner_of(catalog, profile)
    if not person.may_administer and (owns(person, owner) or "curator" in person.roles):
        raise Forbidden(
            "This token may not entitle anybody: a notebook server's own, or one made without that right.",
            hint="Do it in the browser, or with a token of your own.",
        )
    who = f"{owner} and curators" if owner else "curators"
    raise Forbidden(f"Only {who} may do that.", hint=f"Ask {owner or 'a curator'}.")
