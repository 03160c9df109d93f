"""Tasks of sample.py, one file each."""
