"""What benchmarks/faults.py tries, and how it finds out whether a run has survived it."""
