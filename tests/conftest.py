"""What several test files share, and how tests are dealt to processes."""

import ctypes
import gc
import os
import sys

# Before TensorFlow is imported: the processes of pytest-xdist share the processors, and several
# threads make small graphs slower.
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pytest
from PIL import Image

# What imports TensorFlow is imported where it is used: the process that deals out the tests to
# others needs it not.

# Groups that take longest, in this order: what begins last should be short. All others come before
# them, so that most mistakes show in the first minutes.
LONGEST = (
    *("auxiliary", "test_training", "test_workers", "test_agave_runs", "pixelcnn_pp"),
    *("gated_pixelcnn", "diagonal_bilstm", "test_exporting", "row_lstm", "pixelcnn"),
    *("test_training_errors", "test_latent_variable", "test_tf_serving"),
)


# Files that share what takes long to make.
FILES = dict.fromkeys(("test_auxiliary", "test_submodels_apart", "test_views"), "test_auxiliary")
FILES["test_exported_image_files"] = "test_exporting"
FILES["test_serving_clients"] = "test_tf_serving"


def pytest_configure(config):
    """Makes TensorFlow spend less time on what no test of `make test` is about."""
    if config.option.numprocesses and "PYTEST_XDIST_WORKER" not in os.environ:
        return
    import tensorflow as tf

    tf.debugging.disable_traceback_filtering()
    if config.option.markexpr == "not slow":  # `make test-full` and all scripts have them
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist looks at the groups
def pytest_collection_modifyitems(items):
    """Keeps tests that share models and runs in one process: of some files, or of a family."""
    places = {group: place for place, group in enumerate(LONGEST)}
    place_of = {}
    for item in items:
        group = FILES.get(item.path.stem, item.path.stem)
        if "conformance" in group:
            parameters = item.callspec.params
            group = parameters.get("family") or parameters["case"][0]
        item.add_marker(pytest.mark.xdist_group(group))
        place_of[item] = places.get(group, -1)
    if "PYTEST_XDIST_WORKER" in os.environ:
        items.sort(key=place_of.get)


@pytest.hookimpl(tryfirst=True)  # before fixtures are made
def pytest_runtest_setup():
    """Gives every test the same random numbers, whichever tests its process ran before."""
    import keras

    keras.utils.set_random_seed(0)


def pytest_runtest_teardown(item, nextitem):
    """Gives memory back after the last test of a group: its models are of no use to the next."""
    groups = [
        next((m.args for m in i.iter_markers("xdist_group")), None)
        for i in (item, nextitem or item)
    ]
    if nextitem is not None and groups[0] == groups[1]:
        return
    for module in ("conformance", "test_conformance_sampling"):
        for cached in vars(sys.modules.get(module, object)).values():
            if hasattr(cached, "cache_clear"):
                cached.cache_clear()
    gc.collect()
    if sys.platform == "linux":
        ctypes.CDLL(None).malloc_trim(0)


@pytest.fixture(scope="session")
def whole(tmp_path_factory):
    """The work directory of a run of 6 steps that was not stopped; to be left as it is."""
    from runs import config

    import gated_pixelcnn as gpc

    workdir = tmp_path_factory.mktemp("runs") / "whole"
    result = gpc.train(config("train.samples=4"), workdir)
    assert (result.step, result.stopped_by) == (6, "steps")
    return workdir


@pytest.fixture(scope="session")
def gray(tmp_path_factory):
    """The work directory of a Grayscale PixelCNN of 4 steps; to be left as it is."""
    from auxiliary_runs import GRAY, train

    return train(tmp_path_factory.mktemp("gray"), *GRAY)


@pytest.fixture(scope="session")
def pyramid(tmp_path_factory):
    """The same of a Pyramid PixelCNN."""
    from auxiliary_runs import PYRAMID, train

    return train(tmp_path_factory.mktemp("pyramid"), *PYRAMID)


@pytest.fixture(scope="session")
def digits(tmp_path_factory):
    """Directory of a small model of the digits, conditioned on the class."""
    import gated_pixelcnn as gpc

    workdir = tmp_path_factory.mktemp("runs") / "digits"
    changes = ["train.steps=60", "train.warmup_steps=0", "train.samples=0"]
    changes += ["model.layers=2", "model.features=8"]
    gpc.train(gpc.get_config("digits", changes), workdir)
    return workdir


@pytest.fixture(scope="session", name="exported")
def make_exported(tmp_path_factory):
    """Function: kind of model → the model and its SavedModel, made once."""
    from exported import export_small

    made = {}

    def exported(kind):
        if kind not in made:
            made[kind] = export_small(kind, tmp_path_factory.mktemp("export") / "1")
        return made[kind]

    return exported


@pytest.fixture(scope="session", name="served")
def make_served(exported):
    """Function: kind of model → its SavedModel in a session, as a server has it."""
    import tensorflow as tf
    from exported import InSession

    made = {}

    def served(kind):
        if kind not in made:
            session = tf.compat.v1.Session(graph=tf.Graph())
            with session.graph.as_default():
                made[kind] = InSession(session, str(exported(kind).path))
        return made[kind]

    return served


@pytest.fixture(scope="session")
def servable(tmp_path_factory):
    """Function: (kind of condition, colours) → SavedModel, made when it is first used."""
    from served import LEVELS, SIZES, export

    made = {}

    def get(case):
        if case not in made:
            condition, colours = case
            path = tmp_path_factory.mktemp("export") / "1"
            made[case] = export(path, condition, (5, 7, colours), LEVELS, SIZES.get(condition, 0))
        return made[case]

    return get


@pytest.fixture
def photo(tmp_path):
    """An image file of noise, of a size and a mode."""

    def make(height, width, channels=3):
        pixels = np.random.default_rng(height).integers(0, 256, (height, width, channels))
        path = tmp_path / f"{height}x{width}x{channels}.png"
        pixels = pixels.astype(np.uint8)
        Image.fromarray(pixels[..., 0] if channels == 1 else pixels).save(path)
        return str(path)

    return make


@pytest.fixture
def marker(tmp_path):
    """A file that only the code of a malicious file makes."""
    path = tmp_path / "code_was_run"
    yield path
    assert not path.exists()
