"""What curators do to versions of profiles: propose, approve, refuse, withdraw, deprecate.

A version is immutable: its name and number mean one content for ever. It can be started once enough people have
approved its digest, none of them its author; two names with one subject at the sign-in's provider are one person.
"""

from __future__ import annotations

from hub_ext.governance.acts import TOPIC
from hub_ext.governance.ending import Ending
from hub_ext.governance.judging import Judging
from hub_ext.governance.proposing import Proposed, Proposing, read_profile

__all__ = ["TOPIC", "Curation", "Proposed", "read_profile"]


class Curation(Proposing, Judging, Ending):
    """What curators do to versions; see `Acts` for its arguments."""
