"""The presets as a table for people: what train.py --list_presets prints."""

from gated_pixelcnn import configs
from gated_pixelcnn.data import DataConfig

COLUMNS = ("preset", "data", "size", "parameters", "bits/dim", "")


def as_text():
    """Returns all presets in columns, the default one first."""
    rows = [COLUMNS, *(_row(name, configs.PRESETS[name]) for name in configs.list_presets())]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = (map(str.ljust, row, widths) for row in rows)
    return "\n".join("  ".join(line).rstrip() for line in lines)


def _row(name, preset):
    size = "x".join(map(str, preset.image_shape))
    source = DataConfig(**preset.data).source
    return name, source, size, f"{preset.parameters:,}", preset.expected, preset.description
