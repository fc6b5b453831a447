"""Who may do what in the catalog, and the words that people give with it."""

from __future__ import annotations

from hub_ext import audit
from hub_ext.catalog.options import shown
from hub_ext.db.session import Database
from hub_ext.errors import Forbidden, InvalidInput
from hub_ext.people import Person
from hub_ext.sharing.fields import check_text

LONGEST_WORDS = 2000

# The roles that look after the catalog; curators alone change it.
READERS = ("curator", "reviewer", "auditor", "admin")

_HINTS = {
    "curator": "Only curators may do that. Ask one, or an admin for the role.",
    "admin": "Only who proposed it, or an admin, may do that.",
    "": "Its author cannot judge it, under whatever name: ask other curators.",
}


def reads_catalog(person: Person) -> bool:
    """Return whether a person looks after the catalog, with this session or token."""
    return any(person.has_role(role) for role in READERS)


def must_be(database: Database, person: Person, role: str, action: str, subject: tuple[str, str]) -> None:
    """Refuse, and audit, what somebody may not do.

    Args:
        database: Where the attempt is recorded.
        person: Who wants to act.
        role: The role that it takes; empty: nobody may, since she is the author.
        action: What, for the record.
        subject: Type and name of what it is done to.

    Raises:
        Forbidden: If she has not the role with this session or token.
    """
    if role and person.has_role(role):
        return
    kind, name = subject
    with database.write() as session:
        detail = {"subject": person.subject}
        audit.record(session, person.name, action, (kind, shown(name)), outcome="denied", detail=detail)
    if role and role in person.roles:
        raise Forbidden(
            "This token may not act in roles: a notebook server's own, or one made without that right.",
            hint="Do it in the browser, or with a token of your own.",
        )
    raise Forbidden("You may not do this." if role else "You proposed this version yourself.", hint=_HINTS[role])


def check_words(field: str, text: str, *, needed: bool = False) -> str:
    """Return words that can be kept and shown.

    Args:
        field: What the error calls them.
        text: The words.
        needed: Whether there must be some.

    Raises:
        InvalidInput: If they cannot be.
    """
    try:
        words = check_text(text, LONGEST_WORDS, lines=True)
    except ValueError as error:
        raise InvalidInput.of(field, str(error)) from None
    if needed and not words:
        raise InvalidInput.of(field, "say why: others read it")
    return words
