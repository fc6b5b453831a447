"""Runs one notebook beside its kernel and reports into a launch folder.

This package is also a distribution of its own (`hub-ext-executor`), since it alone goes into notebook images. It
imports nothing from the rest of hub-ext, and nothing heavy before it holds its lock.
"""
