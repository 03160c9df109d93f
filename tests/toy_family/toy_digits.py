"""Its configuration: python train.py --config=toy_digits.py, with this folder in PYTHONPATH."""

import toy  # noqa: F401  registers the family


def get_config():
    return {
        "data": {"source": "embedded:digits8", "levels": 4},
        "model": {"family": "toy", "features": 4, "layers": 2, "first_kernel_size": 3},
        "train": {"steps": 2, "batch_size": 8, "eval_images": 10, "samples": 2},
    }
