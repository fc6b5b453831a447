"""Why the answer is no, or what to be warned of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hub_ext.catalog.options import Value


@dataclass(frozen=True)
class Reason:
    """One reason why the answer is no, or one thing to be warned of.

    Attributes:
        code: Stable name of the kind of reason.
        message: What was asked and why it cannot be, in one sentence.
        field: The field at fault, as in the request.
        allowed: What would be allowed.
        ask: Whom to ask.
        nearest: The nearest allowed value, where there is one.
        rule: Id of the policy rule, for ``policy``.
    """

    code: str
    message: str
    field: str = ""
    allowed: str = ""
    ask: str = ""
    nearest: Value | None = None
    rule: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return the reason as JSON."""
        names = ("code", "message", "field", "allowed", "ask", "nearest", "rule")
        return {name: getattr(self, name) for name in names if getattr(self, name) not in ("", None)}

    def hint(self) -> str:
        """Return what to do about it, empty when nobody can be asked."""
        if not self.ask:
            return ""
        if self.code == "no-access":
            return f"Ask for access on its card; {self.ask} keeps it."
        return f"Ask {self.ask} about it."
