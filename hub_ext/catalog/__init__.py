"""Profiles and the decision on them. Pure, but for loading."""

import sys
from types import ModuleType

# `cel` imports its own command line, and that a library of terminals: half a second of every start, called by nobody.
sys.modules.setdefault("cel.cli", ModuleType("cel.cli"))
