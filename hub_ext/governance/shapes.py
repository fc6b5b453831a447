"""Times and exceptions as JSON goes in and out of the catalog's acts."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from hub_ext.catalog.policy import Policy
from hub_ext.db.tables import PolicyException
from hub_ext.errors import InvalidInput


def exception_as_dict(row: PolicyException) -> dict[str, Any]:
    """Return an exception as JSON."""
    return {
        "id": row.id,
        "profile": row.profile,
        "rule": row.rule,
        "users": row.users,
        "groups": row.groups,
        "reason": row.reason,
        "owner": row.owner,
        "until": row.until.isoformat(),
        "created_by": row.created_by,
        "created_at": row.created_at.isoformat(),
        "revoked_by": row.revoked_by,
        "revoked_at": row.revoked_at.isoformat() if row.revoked_at else None,
    }


def rules_as_dicts(policy: Policy) -> list[dict[str, Any]]:
    """Return the rules as JSON, each with whom to ask about it."""
    return [rule.model_dump(mode="json") | {"owner": policy.owners.get(rule.id, "")} for rule in policy.rules]


def read_time(field: str, text: str) -> datetime:
    """Return a time.

    Args:
        field: What the error calls it.
        text: A date (its beginning, UTC), or a time with its zone, as ISO 8601 has them.

    Raises:
        InvalidInput: If it is neither.
    """
    try:
        found = datetime.fromisoformat(f"{text}T00:00+00:00" if len(text) == len("2026-01-31") else text)
        if found.tzinfo is not None:
            return found.astimezone(UTC)
    except (ValueError, OverflowError):  # no time, or one that no clock of ours will ever show
        pass
    raise InvalidInput.of(field, "must be a date such as 2027-01-31, or a time with its zone")
