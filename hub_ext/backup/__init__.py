"""Everything that a platform must not lose, as one file, and back: databases, results, keys, homes."""
