"""Exports a SavedModel: see `python export.py --help` and gated_pixelcnn/cli/export.py."""

from gated_pixelcnn.cli.export import run

if __name__ == "__main__":
    run()
