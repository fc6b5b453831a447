"""Runs: orders, states, the reconciler, live events, secrets."""
