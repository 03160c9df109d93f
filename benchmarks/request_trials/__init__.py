"""What benchmarks/bad_requests.py asks of a SavedModel, and how it judges the answers."""
