"""The presets as tables for people: what train.py --list_presets prints, and docs/presets.md."""

from gated_pixelcnn import configs
from gated_pixelcnn.data import DataConfig

COLUMNS = ("preset", "data", "size", "parameters", "bits/dim", "")
PAGE = """# Presets

<!-- Written by train.py with --list_presets --markdown; a test compares. -->

A preset is a value of `--config` of `train.py`. Each of its values but the family can be changed on
the command line, as by `--config.model.features=96`. To change several, or the family, write
a Python file and give its path:

```python
import gated_pixelcnn as gpc


def get_config():
    config = gpc.get_config("cifar10")
    config.data.source = "folder:my_images"
    config.data.image_size = 32
    config.model.features = 96
    return config
```

Sizes are height × width × channels. The bits/dim of papers are targets of runs at their scale; what
was measured with this code is in [results.md](results.md). 2016a is "Pixel Recurrent Neural
Networks" (van den Oord et al.).
"""


def as_text():
    """Returns all presets in columns, the default one first."""
    rows = [COLUMNS, *(_row(name, configs.PRESETS[name]) for name in configs.list_presets())]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = (map(str.ljust, row, widths) for row in rows)
    return "\n".join("  ".join(line).rstrip() for line in lines)


def as_markdown():
    """Returns a page with a table for each data set."""
    head = _line([*COLUMNS[:-1], "what it is"]) + "\n|---|---|---|---:|---|---|"
    parts = [PAGE]
    for data_set in configs.DATA_SETS:
        title = data_set.__doc__.splitlines()[0].removesuffix(".")
        rows = [_row(f"`{name}`", preset) for name, preset in configs.presets_of(data_set).items()]
        parts.append("\n".join([f"## {title}\n", head, *map(_line, rows), ""]))
    return "\n".join(parts).rstrip()


def _line(cells):
    return f"| {' | '.join(cells)} |"


def _row(name, preset):
    size = "x".join(map(str, preset.image_shape))
    source = DataConfig(**preset.data).source
    return name, source, size, f"{preset.parameters:,}", preset.expected, preset.description
