"""hub-ext: a building platform for analysts on JupyterHub."""

from hub_ext.executor.lean import without_slow_imports

__version__ = "0.1.0"

# Before anything imports `jsonschema`: seconds of each command and each process of ours, and 16 MB as long as it runs.
without_slow_imports()
