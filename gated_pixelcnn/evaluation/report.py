"""Tables of evaluate.py's results for people; `--json` prints them for programs."""

from gated_pixelcnn.evaluation.reconstruction import psnr
from gated_pixelcnn.spec import kind_of_images

WRONG = {  # by the kind of condition
    "label": "with a wrong label",
    "image": "another's code",
    "vector": "another's vector",
    "spatial": "another's maps",
}
BASELINES = {
    "uniform": "uniform",
    "histogram": "pixel histograms",
    "unigram": "frequencies",
    "gaussian": "Gaussian (at most)",
    "png": "PNG files",
    "webp": "lossless WebP",
}
DETAILS = {  # of what z or codes hold; what has no name here is among the terms
    "auxiliary_bits_per_dim": "auxiliary, bits/dim",
    "kl_per_dimension": "nats per unit of z",
    "active_units": "active units of z",
    "bits_per_code": "bits/code by prior",
    "unigram_bits_per_code": "  by frequencies",
    "histogram_bits_per_code": "  by their places",
    "codes_used": "share of codes used",
    "perplexity": "perplexity of codes",
}
COLOURS = {1: ("gray",), 3: ("red", "green", "blue")}


def of_bits(result):
    """Formats the result of a density model.

    Args:
      result: the dict that `--json` prints.

    Returns:
      Lines of text.
    """
    beside_bounds = result.get("beside_is_lower_bound", {})
    is_bound = result["is_lower_bound"]
    margin = 8 if is_bound or any(beside_bounds.values()) else 0

    def row(name, value, at_most=False):
        return f"  {name:<20}{'at most ' if at_most else '':{margin}}{value:>10}"

    def bits(name, value, at_most=False):
        return row(name, f"{value:.4f}", at_most)

    lines = [
        _heading(result),
        "",
        f"{'':<{24 + margin}}bits/dim",
        bits("model", result["bits_per_dim"], is_bound) + _standard_error(result),
        *(bits(f"  {name}", part) for name, part in _terms(result).items()),
    ]
    if "importance_weighted" in result:
        found = result["importance_weighted"]
        value = bits(f"{found['draws']} draws of z", found["bits_per_dim"], is_bound)
        lines.append(value + _standard_error(found))
    if "wrong_condition_bits_per_dim" in result:
        what = WRONG[result["condition"]]
        lines.append(bits(what, result["wrong_condition_bits_per_dim"], is_bound))
    for name, found in result.get("beside", {}).items():
        lines.append(bits(_cut(name), found, beside_bounds[name]))
    for name, found in result.get("baselines", {}).items():
        lines.append(bits(BASELINES[name], found))
    for number, stage in enumerate(result.get("stages", [])):
        lines += [] if number else ["", "  stages, each in its own dimensions"]
        size = "x".join(map(str, stage["image_shape"]))
        lines.append(bits(f"  {size}, {stage['levels']} levels", stage["bits_per_dim"]))
    lines.append("")
    details = result.get("details", {})
    for name in filter(details.__contains__, DETAILS):
        value = details[name]
        lines.append(row(DETAILS[name], value if isinstance(value, int) else f"{value:.4f}"))
    if "accuracy" in result:
        lines.append(row("classified right", f"{result['accuracy']:.1%}"))
    if "likeness" in result:
        found = result["likeness"]
        for key, name, chance in (
            ("pairs", "like their source", 0.5),
            ("identities", "of its identity", found["chance"]),
        ):
            lines.append(row(name, f"{found[key]:.1%}") + f" ({chance:.1%} by chance)")
    lines.append(bits("nats per image", result["nats"], is_bound))
    lines.append(row("images/s", f"{result['images_per_second']:.1f}"))
    return "\n".join(lines)


def _standard_error(result):
    error = result["standard_error"]
    return "" if error is None else f" ± {error:.4f} (standard error)"


def _terms(result):
    """Bits/dim of the colours, whose mean is the model's, or of the terms of a bound, their sum."""
    if result.get("terms"):
        return result["terms"]
    channels = result["bits_per_channel"]
    if len(channels) == 1:
        return {}
    names = COLOURS.get(len(channels)) or [f"channel {c}" for c in range(len(channels))]
    return dict(zip(names, channels, strict=True))


def _heading(result):
    kind = kind_of_images(result["image_shape"], result["levels"])
    return f"{result['num_images']} {result['split']} images of {result['source']}, {kind}"


def _cut(name):
    """A work directory that fits into a column: its end."""
    return name if len(name) <= 19 else f"…{name[-18:]}"


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


def of(validation, result):
    """Formats a result.

    Args:
      validation: the evaluator that tells most of the model, see `evaluators.validation_of`.
      result: the dict that `--json` prints.

    Returns:
      Lines of text.
    """
    tables = {"bits_per_dim": of_bits, "mse": of_errors, "verification_error": of_verification}
    return tables[validation.name](result) + _probe(result.get("probe"))


def _probe(found):
    """The table of a `codes.Probe`, or nothing."""
    if found is None:
        return ""
    codes, pixels = found["codes"], found["pixels"]
    title = f"classes told from {found['num_train']} images"
    return "\n".join(
        [
            f"\n\n  {title}",
            f"  {'by':<20}{'code of ' + str(found['code_size']):>14}{'pixels':>10}",
            *(
                f"  {what:<20}{codes[key]:>14.1%}{pixels[key]:>10.1%}"
                for key, what in (("linear", "a linear function"), ("neighbour", "the neighbour"))
            ),
        ]
    )
