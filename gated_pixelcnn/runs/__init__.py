"""A run on disk: its directory, its checkpoints, and models that are built and loaded."""
