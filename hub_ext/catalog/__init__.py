"""Profiles and the decision on them. Pure, but for loading."""
