"""Evaluates a trained model: see `python evaluate.py --help` and gated_pixelcnn/cli/evaluate.py."""

from gated_pixelcnn.cli.evaluate import run

if __name__ == "__main__":
    run()
