"""One module per kind of source, each with `load(address, config)` and `describe(...)`."""
