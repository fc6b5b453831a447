"""Notebook servers: each start asks for a decision and obeys it."""
