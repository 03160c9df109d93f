"""Draws or completes images: see `python sample.py --help` and gated_pixelcnn/cli/sample.py."""

from gated_pixelcnn.cli.sample import run

if __name__ == "__main__":
    run()
