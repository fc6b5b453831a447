"""Option sets that nobody should get a server with, sent to a stock Hub with kubespawner and to ours, by every path.

`python -m benchmarks.hostile` drives both and writes docs/reference/hostile-options.md; tests/functional/
test_hostile_options.py drives both as well, and compares.
"""
