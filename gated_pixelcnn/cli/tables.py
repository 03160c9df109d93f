"""What evaluate.py prints for people: tables of the results that `--json` prints for programs."""

import math

from gated_pixelcnn import cli

WRONG = {"label": "with a wrong label", "image": "another's code"}  # by the kind of condition
LIKENESS = {"pairs": "like their source", "identities": "of its identity"}
COLOURS = {1: ("gray",), 3: ("red", "green", "blue")}


def of_bits(result):
    """Formats the result of a density model.

    Args:
      result: the dict that `--json` prints.

    Returns:
      Lines of text.
    """
    bound = "at most " if result["is_lower_bound"] else ""
    error = result["standard_error"]
    error = "" if error is None else f" ± {error:.4f} (standard error)"
    lines = [
        _heading(result),
        "",
        f"{'':<24}bits/dim",
        f"  {'model':<20}{bound}{result['bits_per_dim']:>10.4f}{error}",
    ]
    for name, bits in _parts(result).items():
        lines.append(f"    {name:<18}{bits:>10.4f}")
    if "wrong_condition_bits_per_dim" in result:
        what = WRONG[result["condition"]]
        lines.append(f"  {what:<20}{bound}{result['wrong_condition_bits_per_dim']:>10.4f}")
    for name, bits in result.get("beside", {}).items():
        at_most = "at most " if result["beside_is_lower_bound"][name] else ""
        lines.append(f"  {_cut(name):<20}{at_most}{bits:>10.4f}")
    names = {
        "uniform": "uniform",
        "histogram": "pixel histograms",
        "png": "PNG files",
        "webp": "lossless WebP",
    }
    for name, bits in result.get("baselines", {}).items():
        lines.append(f"  {names[name]:<20}{bits:>10.4f}")
    lines += [
        "",
        *(
            [f"  {'classified right':<20}{result['accuracy']:>10.1%}"]
            if "accuracy" in result
            else []
        ),
        *(
            f"  {name:<20}{result['likeness'][key]:>10.1%}"
            for key, name in LIKENESS.items()
            if "likeness" in result
        ),
        f"  {'nats per image':<20}{bound}{result['nats']:>10.4f}",
        f"  {'images/s':<20}{result['images_per_second']:>10.1f}",
    ]
    return "\n".join(lines)


def _parts(result):
    """What the bits/dim are made of: the mean of the colours', or the sum of a bound's terms."""
    if result.get("terms"):
        return result["terms"]
    channels = result["bits_per_channel"]
    if len(channels) == 1:
        return {}
    names = COLOURS.get(len(channels)) or [f"channel {c}" for c in range(len(channels))]
    return dict(zip(names, channels, strict=True))


def _heading(result):
    kind = cli.kind_of_images(result["image_shape"], result["levels"])
    return f"{result['num_images']} {result['split']} images of {result['source']}, {kind}"


def _cut(name):
    """A work directory that fits into a column: its end."""
    return name if len(name) <= 20 else f"…{name[-19:]}"


def of_verification(result):
    """Formats the result of an embedding, as `of_bits` does."""
    kind = f"{result['num_images']} {result['split']} images of {result['num_identities']}"
    return "\n".join(
        [
            f"{kind} identities of {result['source']}",
            "",
            f"{'':<22}AUC of verification",
            f"  {'embedding':<18}{result['auc']:>10.4f}",
            f"  {'pixel distance':<18}{result['pixel_auc']:>10.4f}",
        ]
    )


def psnr(mse):
    """The peak signal-to-noise ratio in dB of a mean squared error of colours from 0 to 1."""
    return -10 * math.log10(max(mse, 1e-12))  # at most 120 dB: JSON has no infinity


def of_errors(result):
    """Formats the result of an autoencoder trained for the squared error, as `of_bits` does."""
    error = result["standard_error"]
    error = "" if error is None else f" ± {error:.5f} (standard error)"
    lines = [
        _heading(result),
        "",
        f"{'':<22}PSNR in dB       MSE",
        f"  {'code of ' + str(result['code_size']):<20}{result['psnr']:>10.2f}"
        f"{result['mse']:>10.5f}{error}",
    ]
    for mse in result.get("baselines", {}).values():
        lines.append(f"  {'mean image':<20}{psnr(mse):>10.2f}{mse:>10.5f}")
    return "\n".join(lines)


def of_verification(result):
    """Formats the result of an embedding, as `of_bits` does."""
    kind = f"{result['num_images']} {result['split']} images of {result['num_identities']}"
    return "\n".join(
        [
            f"{kind} identities of {result['source']}",
            "",
            f"{'':<22}AUC of verification",
            f"  {'embedding':<18}{result['auc']:>10.4f}",
            f"  {'pixel distance':<18}{result['pixel_auc']:>10.4f}",
        ]
    )


def psnr(mse):
    """The peak signal-to-noise ratio in dB of a mean squared error of colours from 0 to 1."""
    return -10 * math.log10(max(mse, 1e-12))  # at most 120 dB: JSON has no infinity


def of_errors(result):
    """Formats the result of an autoencoder trained for the squared error, as `of_bits` does."""
    error = result["standard_error"]
    error = "" if error is None else f" ± {error:.5f} (standard error)"
    lines = [
        _heading(result),
        "",
        f"{'':<22}{'MSE':>8}  PSNR in dB",
        f"  {'code of ' + str(result['code_size']):<18}{result['mse']:>10.5f}"
        f"{result['psnr']:>12.2f}{error}",
    ]
    for mse in result.get("baselines", {}).values():
        lines.append(f"  {'mean image':<18}{mse:>10.5f}{psnr(mse):>12.2f}")
    return "\n".join(lines)
