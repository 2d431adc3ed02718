"""How fast the store is, beside what else could be used for the same work. Run it with ``python -m benchmarks``."""
