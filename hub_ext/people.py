"""Who is asking: the person as the Hub knows her now, and what roles allow."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

ROLES = ("curator", "reviewer", "auditor", "admin")

# Groups of the Hub that carry a role, where settings name no others. Who is put into a role's group has the role.
ROLE_GROUPS = {role: f"hub-ext-{role}s" for role in ROLES}

_ROLE_SCOPE = "custom:hub-ext:role-"

# The owner of the workflows that ship; nobody can sign in under this name.
EXAMPLES = "examples"


@dataclass(frozen=True)
class Person:
    """Somebody who is signed in.

    Attributes:
        name: Name at the Hub.
        groups: Groups at the Hub, as of this request.
        roles: Any of `ROLES`.
        may_administer: Whether this session or token may be used to approve, review, entitle or administer
            (a notebook server's own token may not).
        subject: Who she is at the provider of the sign-in; two names with one subject are one person. Where the
            provider says nothing, it is her name.
        token_roles: Roles that a token was made for one by one, when it may not be used to administer in general.
    """

    name: str
    groups: frozenset[str] = frozenset()
    roles: frozenset[str] = frozenset()
    may_administer: bool = True
    subject: str = ""
    token_roles: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if not self.subject:
            object.__setattr__(self, "subject", self.name)

    def has_role(self, role: str) -> bool:
        """Return whether she may act in a role, with this session."""
        return role in self.roles and (self.may_administer or role in self.token_roles)


def scope_of(role: str) -> str:
    """Return the scope of the Hub that lets a token act in one role alone; members of the role's groups have it."""
    return _ROLE_SCOPE + role


def groups_of_roles(given: Mapping[str, Collection[str]]) -> dict[str, list[str]]:
    """Return the groups that carry each role.

    Args:
        given: Those of the settings (`HubExt.role_groups`); a role that is left out has its usual group.
    """
    return {role: list(given.get(role, [usual])) for role, usual in ROLE_GROUPS.items()}


def roles_of(
    groups: frozenset[str], *, admin: bool, given: Mapping[str, Collection[str]] | None = None
) -> frozenset[str]:
    """Return the roles that groups give.

    Args:
        groups: Groups at the Hub.
        admin: Whether the Hub calls her an admin; on its own that is the role `admin` and no other.
        given: Groups that carry roles, as the settings say.
    """
    found = {role for role, carrying in groups_of_roles(given or {}).items() if groups.intersection(carrying)}
    return frozenset(found | {"admin"} if admin else found)
