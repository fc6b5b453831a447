"""What the chart runs: the Hub's configuration in a cluster, and waiting for what is not there yet."""

from hub_ext.executor.lean import without_slow_imports

# Before the Hub imports `jsonschema`: a fifth of the processor time that it needs until it answers.
without_slow_imports()
