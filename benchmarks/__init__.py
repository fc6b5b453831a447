"""Figures, each a ratio to a named peer that is measured in the same run."""
