"""The embedded default: the whole platform on one machine, started by `hub-ext up`."""

from hub_ext.executor.lean import without_slow_imports

# Before the Hub imports `jsonschema`: a fifth of the processor time that it needs until it answers.
without_slow_imports()
