"""Who is asking: the person as the Hub knows her now, and what roles allow."""

from __future__ import annotations

from dataclasses import dataclass

ROLES = ("curator", "reviewer", "auditor", "admin")

# Groups of the Hub that carry a role. A role is given by putting a person into its group.
ROLE_GROUPS = {role: f"hub-ext-{role}s" for role in ROLES}

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
    """

    name: str
    groups: frozenset[str] = frozenset()
    roles: frozenset[str] = frozenset()
    may_administer: bool = True
    subject: str = ""

    def __post_init__(self) -> None:
        if not self.subject:
            object.__setattr__(self, "subject", self.name)

    def has_role(self, role: str) -> bool:
        """Return whether she may act in a role, with this session."""
        return self.may_administer and role in self.roles


def roles_of(groups: frozenset[str], *, admin: bool) -> frozenset[str]:
    """Return the roles that groups give.

    Args:
        groups: Groups at the Hub.
        admin: Whether the Hub calls her an admin; on its own that is the role `admin` and no other.
    """
    found = {role for role, group in ROLE_GROUPS.items() if group in groups}
    return frozenset(found | {"admin"} if admin else found)
