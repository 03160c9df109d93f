"""What several test files share."""

import pytest
from runs import config

import gated_pixelcnn as gpc


@pytest.fixture(scope="session")
def whole(tmp_path_factory):
    """The work directory of a run of 6 steps that was not stopped; to be left as it is."""
    workdir = tmp_path_factory.mktemp("runs") / "whole"
    result = gpc.train(config(), workdir)
    assert (result.step, result.stopped_by) == (6, "steps")
    return workdir
