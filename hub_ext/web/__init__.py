"""HTTP: authenticates, parses, calls one function, renders. Here, and in `spawner/` alone, status codes are known."""

from hub_ext.executor.lean import without_slow_imports

# Before anything imports `jsonschema`: a second of every start, and 16 MB for as long as the service runs.
without_slow_imports()
