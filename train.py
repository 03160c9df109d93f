"""Trains a model: see `python train.py --help` and gated_pixelcnn/cli/train.py."""

from gated_pixelcnn.cli.train import run

if __name__ == "__main__":
    run()
