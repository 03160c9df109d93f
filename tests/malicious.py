"""Files of strangers that would run code or take all memory, for several test files."""

import base64
import io
import marshal
import zipfile
from pathlib import Path

import numpy as np
import pytest

import gated_pixelcnn as gpc
from gated_pixelcnn.errors import UserError

IMAGES = np.zeros((2, 4, 4, 1), np.uint8)


class Malicious:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return Path.touch, (self.marker,)


def pickled(marker):
    """An array of an object that makes the marker when it is unpickled."""
    return np.array([Malicious(marker)], object)


def lambda_that_makes(marker):
    code = compile(f"lambda x: (open({str(marker)!r}, 'w').close(), x)[1]", "", "eval").co_consts[0]
    encoded = base64.b64encode(marshal.dumps(code)).decode()
    config = {"code": encoded, "defaults": None, "closure": None}
    return {"class_name": "__lambda__", "config": config}


def write_giant(path, name, dtype):
    header = io.BytesIO()
    whole = {"descr": dtype, "fortran_order": False, "shape": (10**15, 4, 4, 1)}
    np.lib.format.write_array_header_1_0(header, whole)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}.npy", header.getvalue())


def refused(path, message):
    with pytest.raises(UserError, match=message) as caught:
        gpc.load(path)
    assert "\n" not in str(caught.value)


def small_model():
    model = gpc.GatedPixelCNN((4, 4, 1), levels=4, features=4, layers=2)
    model.build()
    return model
