"""One module for each family, of its name; see `models.registry`."""
