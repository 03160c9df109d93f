"""Packaging of gated-pixelcnn; the tested versions are pinned in constraints.txt."""

from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent

# Messages of TensorFlow Serving, for its gRPC clients (docs/serving.md); exporting does without.
serving_requirements = ["tensorflow-serving-api>=2.19,<3"]
# pytest-xdist deals the tests to as many processes as there are cores; hypothesis makes random
# folders of images for one of them. With pytest 9.2, pytest-xdist 3.8 deals out groups one by one.
test_requirements = [
    *("hypothesis>=6.100", "pytest>=8,<9.2", "pytest-xdist>=3.6"),
    *serving_requirements,
]

setup(
    name="gated-pixelcnn",
    version="0.1.0",
    description="Gated PixelCNN in TensorFlow 2 and Keras 3: train, evaluate and sample fast",
    long_description=(ROOT / "README.md").read_text() if (ROOT / "README.md").exists() else "",
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    packages=find_packages(include=["gated_pixelcnn", "gated_pixelcnn.*"]),
    package_data={"gated_pixelcnn": ["data/embedded/*", "py.typed", "*.pyi"]},
    python_requires=">=3.11",
    install_requires=[
        "tensorflow>=2.19,<3",
        "keras>=3.8,<4",
        "h5py>=3.11",
        "tensorflow-probability[tf]>=0.25",
        "tensorflow-datasets>=4.9.8",
        "tensorboard>=2.19",  # TensorFlow does not always bring it
        "importlib_resources>=6",  # needed by TensorFlow Datasets, which does not ask for it
        "absl-py>=2",
        "ml_collections>=1",
        "numpy>=1.26",
        "pillow>=10",
    ],
    extras_require={
        "serving": serving_requirements,
        "test": test_requirements,
        "docs": [
            *("mkdocs>=1.6,<2", "mkdocs-material>=9.6,<10"),
            *("mkdocstrings>=1,<2", "mkdocstrings-python>=2,<3"),
        ],
        # coverage, pytest-cov and mutmut tell what the tests do not see.
        # scikit-image and scikit-learn hold the pictures from which the embedded data were made.
        # Selenium drives the browser of tools/screenshot_tensorboard.py.
        # matplotlib draws the curves of benchmarks/families.py.
        "dev": [
            *test_requirements,
            *("coverage>=7.10", "matplotlib>=3.9", "pytest-cov>=6", "mutmut>=3.8"),
            *("ruff>=0.9", "scikit-image>=0.25", "scikit-learn>=1.5", "selenium>=4.20"),
        ],
        "cuda": ["tensorflow[and-cuda]>=2.19,<3"],
    },
    entry_points={
        "console_scripts": [
            "gated-pixelcnn-train = gated_pixelcnn.cli.train:run",
            "gated-pixelcnn-sample = gated_pixelcnn.cli.sample:run",
            "gated-pixelcnn-evaluate = gated_pixelcnn.cli.evaluate:run",
            "gated-pixelcnn-export = gated_pixelcnn.cli.export:run",
        ]
    },
)
