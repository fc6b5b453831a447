"""Notebooks become workflows: reading them, inferring their parameters, versions, access, search."""
