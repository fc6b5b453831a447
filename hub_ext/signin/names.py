"""Names and subjects from a provider, made safe: pure."""

from __future__ import annotations

import hashlib
import unicodedata

from hub_ext.errors import InvalidInput
from hub_ext.people import EXAMPLES

LONGEST = 128
_LONGEST_CLAIM = 1000
_MARKS = frozenset(".-_@+'#~=")
_RULE = "a name here has letters, digits and . - _ @ + ' # ~ =, and begins with a letter or digit"


def user_name(claim: object) -> str:
    """Return the name of a person at the Hub.

    Names that differ only in case or in their Unicode form come out alike, so that two people with such names are seen
    to clash, and never become two that nobody can tell apart.

    Args:
        claim: What the provider calls her.

    Raises:
        InvalidInput: If no name can be made of it; says why.
    """
    if not isinstance(claim, str) or not claim.strip():
        raise InvalidInput.of("name", "the provider gives no name for you")
    if len(claim) > _LONGEST_CLAIM:
        raise InvalidInput.of("name", f"the provider's name for you has {len(claim)} characters")
    name = same_form(claim)
    if len(name) > LONGEST:
        raise InvalidInput.of("name", f"has {len(name)} characters; at most {LONGEST} are allowed")
    if name == EXAMPLES:
        raise InvalidInput.of("name", f"{EXAMPLES!r} owns the workflows that ship; nobody signs in under it")
    if ".." in name or not _is_word(name[0]) or not all(_is_word(one) or one in _MARKS for one in name):
        raise InvalidInput.of("name", f"{shown(claim)} cannot be used: {_RULE}")
    return name


def same_form(text: str) -> str:
    """Return a text in the form in which texts that differ only in case or Unicode form are the same."""
    once = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return unicodedata.normalize("NFKC", once.casefold())


def _is_word(char: str) -> bool:
    return unicodedata.category(char)[0] in "LMN"


def shown(text: str) -> str:
    """Return what somebody sent so that it can stand in a message: quoted, short, nothing that cannot be seen."""
    plain = "".join(one if one.isprintable() else "�" for one in text[:60])
    return repr(plain)


def subject_of(issuer: str, subject: str) -> str:
    """Return who somebody is, over all providers: two names with one such subject are one person.

    Args:
        issuer: The provider; an address, so it holds no space.
        subject: Who she is there.
    """
    whole = f"{issuer} {subject}"
    if len(whole) <= 255:
        return whole
    return f"sha256:{hashlib.sha256(whole.encode('utf-8', 'surrogatepass')).hexdigest()}"


def groups_in(claims: dict[str, object], path: str, most: int = 2000) -> list[str] | None:
    """Return the groups that claims name; None where the claim is missing.

    Args:
        claims: What the provider says of somebody.
        path: Name of the claim; with dots, of a claim in a claim.
        most: A person is in no more groups than this.

    Raises:
        InvalidInput: If the claim is something else than a list of names.
    """
    found = claim_in(claims, path)
    if found is None:
        return None
    if isinstance(found, str):
        found = [found]
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found) or len(found) > most:
        raise InvalidInput.of("groups", f"the provider's claim {path!r} is no list of at most {most} names")
    names = {unicodedata.normalize("NFC", one) for one in found}
    return sorted(one for one in names if 0 < len(one) <= 255 and one.isprintable() and one == one.strip())


def claim_in(claims: dict[str, object], path: str) -> object:
    """Return a claim, None where there is none.

    Args:
        claims: What the provider says of somebody.
        path: Name of the claim; where no claim has this name, its dots lead into claims.
    """
    if path in claims:
        return claims[path]
    found: object = claims
    for part in path.split("."):
        if not isinstance(found, dict):
            return None
        found = found.get(part)
    return found
