"""The families of density models: `base` holds their contract."""
