"""Facts about a SavedModel beside its signatures, for scripts: a JSON file in assets.extra."""

import json

from gated_pixelcnn.errors import UserError
from gated_pixelcnn.runs.directory import checked_record
from gated_pixelcnn.spec import MOST_LEVELS

NAME = "gated_pixelcnn.json"
FORMAT = 5


def of(model, record, max_images):
    """The facts of a model that is exported, for JSON; see `export.write`.

    The run's configuration is part of them, so that other images can be prepared as its were.
    """
    return {
        "format": FORMAT,
        "condition": model.condition_kind,
        "condition_size": model.condition_size,
        "is_lower_bound": model.is_lower_bound,
        "completes": model.completes,
        "terms": model.terms,
        "max_images": max_images,
        "run": record | {"config": json.loads(record["config"].to_json_best_effort())},
    }


def read(path):
    """Reads the facts of a SavedModel.

    Args:
      path: Its directory (pathlib.Path).

    Returns:
      What `of` gave, its `run` as RunDirectory.read_config gives it.

    Raises:
      UserError: it was not exported by this package, or the file is damaged.
    """
    file = path / "assets.extra" / NAME
    if not file.is_file():
        raise UserError(f"{path} was not written by export.py: it has no assets.extra/{NAME}")
    try:
        facts = json.loads(file.read_text())
        if facts["format"] == FORMAT:
            if type(facts["max_images"]) is not int or facts["max_images"] < 1:
                raise ValueError("max_images is no number of images")
            if not 2 <= facts["run"]["levels"] <= MOST_LEVELS:
                raise ValueError("levels is no number of levels")
            return facts | {"run": checked_record(facts["run"])}
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise UserError(f"{file} is damaged ({error}); export the model again") from error
    raise UserError(f"{file} has format {facts['format']}; this version reads {FORMAT}")
