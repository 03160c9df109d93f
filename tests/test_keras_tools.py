"""Keras' own tools work on every family as on any other Keras model."""

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from families import MAIN, batch_of, build, images_of

import gated_pixelcnn as gpc
from gated_pixelcnn import likelihoods
from gated_pixelcnn.cli import evaluate
from gated_pixelcnn.errors import UserError
from gated_pixelcnn.models.density_model import DensityModel
from gated_pixelcnn.models.registry import FAMILIES

ROOT = Path(__file__).parents[1]
every_family = pytest.mark.parametrize("family", MAIN)


def labelled(**arguments):
    model = build(condition="label", condition_size=3, **arguments)
    model.build()
    return model


# fit, evaluate, predict


@pytest.mark.parametrize("family", ["gated_pixelcnn", "mse_autoencoder", "embedding"])
def test_logs_hold_the_loss_by_both_its_names(family):
    model = build(family)
    batch = batch_of(model)
    model.compile("adam")
    logs = model.fit(*batch, validation_data=batch, verbose=0).history
    last = "bits_per_dim" if isinstance(model, DensityModel) else model.loss_name
    assert set(logs) == {"loss", model.loss_name, "val_loss", f"val_{last}"}
    assert logs["loss"] == logs[model.loss_name] and logs["val_loss"] == logs[f"val_{last}"]
    if isinstance(model, DensityModel):
        found = gpc.evaluate(model, *batch)["bits_per_dim"]
    else:
        found = np.mean(model.training_loss(*batch, *[None][: 2 - len(batch)], training=False))
    assert logs["val_loss"] == [pytest.approx(found, rel=1e-5)]


def test_callbacks_keep_the_best_weights_and_stop_without_being_told_a_name(tmp_path):
    """Steps that are far too long make every epoch after the first one worse."""
    model = build()
    images = np.zeros((8, 4, 4, 1), np.uint8)
    model.compile(keras.optimizers.SGD(0.0))
    rates = keras.callbacks.LearningRateScheduler(lambda epoch: 0.1 if epoch == 0 else -0.1)
    path = str(tmp_path / "best.keras")
    callbacks = [
        rates,
        keras.callbacks.ModelCheckpoint(path, save_best_only=True),
        keras.callbacks.EarlyStopping(),
    ]
    history = model.fit(
        images, epochs=6, batch_size=8, validation_data=(images,), callbacks=callbacks, verbose=0
    ).history
    assert len(history["val_loss"]) == 2 and history["val_loss"][1] > history["val_loss"][0]
    best = gpc.evaluate(gpc.load(path), images)["bits_per_dim"]
    assert best == pytest.approx(history["val_loss"][0], rel=1e-5)


@pytest.mark.parametrize(
    "wrong",
    [{"loss": "mse"}, {"metrics": ["accuracy"]}, {"weighted_metrics": ["mse"]}],
    ids=lambda wrong: next(iter(wrong)),
)
def test_another_loss_or_metric_is_refused(wrong):
    with pytest.raises(ValueError, match=f"compile takes no {next(iter(wrong))}, got .*bits/dim"):
        build().compile("adam", **wrong)


def test_data_may_come_in_every_form_that_keras_takes():
    model = labelled()
    images, labels = images_of(model), np.arange(6) % 3
    model.compile(keras.optimizers.SGD(0.0))
    pairs = tf.data.Dataset.from_tensor_slices((images, labels)).batch(4)
    dicts = pairs.map(lambda x, y: {"images": x, "condition": y})
    bits = gpc.evaluate(model, images, labels)["bits_per_dim"]
    wanted = model(images, labels)
    forms = [
        (images, labels),
        ([images, labels],),
        ((images, labels),),
        ({"images": images, "condition": labels},),
        (images, labels.tolist()),
        ([images, labels.tolist()],),
        (pairs,),
        (dicts,),
    ]
    for form in forms:
        loss = model.fit(*form, batch_size=3, verbose=0).history["loss"][0]
        assert loss == pytest.approx(bits, rel=1e-5)
        assert model.evaluate(*form, verbose=0) == pytest.approx([bits, bits], rel=1e-5)
        if len(form) == 1:
            np.testing.assert_allclose(model.predict(*form, verbose=0), wanted, atol=1e-5)
    for wrong in ([images, labels, labels], {"images": images, "label": labels}):
        with pytest.raises(ValueError, match="data must be images, or images and a condition"):
            model.predict(wrong, verbose=0)


def test_a_dataset_is_evaluated_as_its_images_in_memory():
    model = labelled()
    images, labels = images_of(model, 7), np.arange(7) % 3
    wanted = gpc.evaluate(model, images, labels)
    pairs = tf.data.Dataset.from_tensor_slices((images, labels))
    found = gpc.evaluate(model, pairs.batch(3), batch_size=4)
    assert found["num_images"] == 7
    np.testing.assert_allclose(found["log_probs"], wanted["log_probs"], rtol=1e-5)
    plain = build()
    found = gpc.evaluate(plain, tf.data.Dataset.from_tensor_slices(images).batch(2))
    np.testing.assert_allclose(found["log_probs"], gpc.evaluate(plain, images)["log_probs"])
    for pair in ((images, labels), {"images": images, "condition": labels}):
        found = gpc.evaluate(model, pair)
        np.testing.assert_array_equal(found["log_probs"], wanted["log_probs"])
        with pytest.raises(ValueError, match="leave out condition"):
            gpc.evaluate(model, pair, labels)
    with pytest.raises(ValueError, match="must give batches"):
        gpc.evaluate(model, pairs)
    with pytest.raises(ValueError, match="leave out condition"):
        gpc.evaluate(model, pairs.batch(2), labels)


@every_family
def test_a_summary_tells_the_shape_of_every_layer(family):
    model = build(
        family, **{"condition": "label", "condition_size": 3} if family == "pixelcnn" else {}
    )
    lines = []
    model.summary(print_fn=lines.append)  # and builds it
    table = "\n".join(lines)
    assert "None" in table and "?" not in table
    assert f"{model.count_params():,}" in table


@every_family
def test_parameters_of_a_model_that_was_not_built_are_counted(family):
    model = build(family)
    assert model.count_params() == sum(np.prod(weight.shape) for weight in model.weights) > 0


# Saving


@every_family
def test_a_checkpoint_of_tensorflow_holds_every_variable(family, tmp_path):
    model = build(family)
    model.build()
    rng = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(rng.normal(size=weight.shape))
    path = tf.train.Checkpoint(model=model).save(tmp_path / "checkpoint")
    for build_first in (True, False):
        other = build(family)
        if build_first:
            other.build()
        status = tf.train.Checkpoint(model=other).restore(path)
        if not build_first:
            other.build()
        status.assert_consumed()
        for own, found in zip(model.variables, other.variables, strict=True):
            np.testing.assert_array_equal(np.asarray(own), np.asarray(found))


def test_a_fresh_process_loads_every_family_by_keras(tmp_path):
    """And importing the package does not import Keras or TensorFlow, which take seconds."""
    for family in MAIN:
        model = build(family)
        model.build()
        model.save(tmp_path / f"{family}.keras")
    code = (
        "import gated_pixelcnn, json, sys\n"
        "early = [name for name in ('keras', 'tensorflow', 'numpy') if name in sys.modules]\n"
        "import keras\n"
        "kinds = [type(keras.saving.load_model(path)).__name__ for path in sys.argv[1:]]\n"
        "print(json.dumps([early, kinds]))\n"
    )
    files = [str(tmp_path / f"{family}.keras") for family in MAIN]
    run = subprocess.run(
        [sys.executable, "-c", code, *files], cwd=ROOT, capture_output=True, text=True, check=True
    )
    early, kinds = json.loads(run.stdout.splitlines()[-1])
    assert early == []
    assert kinds == [FAMILIES[family].__name__ for family in MAIN]


def test_every_family_and_likelihood_is_public():
    found = {name: getattr(gpc, name) for name in gpc.__all__}
    assert set(FAMILIES.values()) <= set(found.values())
    kinds = {type(likelihoods.get(name, 1, 4)) for name in likelihoods.KINDS if name != "bernoulli"}
    assert kinds | {likelihoods.Bernoulli} <= set(found.values())
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        _ = gpc.Nothing


def test_every_family_is_registered_by_the_name_of_its_module():
    for name, kind in FAMILIES.items():
        assert kind.__module__ == f"gated_pixelcnn.models.families.{name}"
        assert keras.saving.get_registered_name(kind) == f"gated_pixelcnn>{name}"
        assert kind.family == name


def test_a_compiled_model_comes_back_compiled(tmp_path):
    model = build()
    model.compile(keras.optimizers.Adam(0.02))
    images = images_of(model)
    model.fit(images, verbose=0)
    model.save(tmp_path / "model.keras")
    other = keras.saving.load_model(tmp_path / "model.keras")
    for each in (model, other):
        keras.utils.set_random_seed(0)
        each.fit(images, verbose=0)
    for own, found in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(own, found, atol=1e-6)


def test_a_model_that_fit_trained_is_exported(tmp_path, monkeypatch, capsys):
    from scripts import call

    model = labelled(condition_names=["bag", "coat", "shoe"])
    images, labels = images_of(model), np.arange(6) % 3
    model.compile("adam")
    model.fit(images, labels, verbose=0)
    path = gpc.export(model, tmp_path / "served", warm_up=False)
    served = gpc.load_saved_model(path)
    np.testing.assert_allclose(
        served.log_prob(images, labels), model.log_prob(images, labels), rtol=1e-5
    )
    assert served.class_names == ("bag", "coat", "shoe")
    with pytest.raises(UserError, match="give images by --source"):
        call(evaluate, monkeypatch, f"--saved_model={path}")
    np.savez(tmp_path / "x.npz", x_train=images, y_train=labels, x_test=images, y_test=labels)
    source = f"--source=npz:{tmp_path / 'x.npz'}"
    call(evaluate, monkeypatch, f"--saved_model={path}", source, "--json", "--nobaselines")
    found = json.loads(capsys.readouterr().out)["bits_per_dim"]
    assert found == pytest.approx(gpc.evaluate(model, images, labels)["bits_per_dim"], rel=1e-4)
    with pytest.raises(UserError, match="output.* is missing"):
        gpc.export(model)
    with pytest.raises(UserError, match="are for runs"):
        gpc.export(model, tmp_path / "served", checkpoint="latest")
    with pytest.raises(UserError, match="no weights yet"):
        gpc.export(build(), tmp_path / "served")


# Settings of Keras


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"KERAS_BACKEND": "jax"}, "Keras' backend is 'jax'"),
        ({"KERAS_BACKEND": "torch"}, "Keras' backend is 'torch'"),
        ({"TF_USE_LEGACY_KERAS": "1"}, "TF_USE_LEGACY_KERAS makes tf.keras Keras 2"),
        ({"KERAS_HOME": "."}, "keras.json"),
    ],
)
@pytest.mark.parametrize(
    "command", [["train.py", "--list_presets"], ["-c", "import gated_pixelcnn"]]
)
def test_settings_that_do_not_suit_are_told_in_one_sentence(command, setting, message, tmp_path):
    (tmp_path / "keras.json").write_text('{"backend": "jax"}')
    if command[0] == "train.py":
        command = [str(ROOT / "train.py"), *command[1:]]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("KERAS_")}
    run = subprocess.run(
        [sys.executable, *command],
        env=environment | {"PYTHONPATH": str(ROOT)} | setting,
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 1 and run.stdout == ""
    (line,) = run.stderr.splitlines()
    assert line.startswith("error: ") and message in line


@every_family
def test_layers_have_channels_last_whatever_keras_defaults_to(family, monkeypatch):
    arguments = {"condition": "label", "condition_size": 3, "spatial_features": 2}
    model = build(family, **(arguments if family in ("gated_pixelcnn", "auxiliary") else {}))
    keras.config.set_image_data_format("channels_first")
    try:
        first = build(family, **(arguments if family in ("gated_pixelcnn", "auxiliary") else {}))
        first.build()
    finally:
        keras.config.set_image_data_format("channels_last")
    model.build()
    first.set_weights(model.get_weights())
    images = images_of(model)
    condition = [np.arange(6) % 3] if model.condition_kind else []
    np.testing.assert_allclose(first(images, *condition), model(images, *condition), atol=1e-5)


def test_weights_of_samples_and_classes_are_refused_without_labels():
    model = gpc.GatedPixelCNN((4, 4, 1), 2, features=4, layers=2, first_kernel_size=3)
    model.compile("adam")
    images = np.zeros((4, 4, 4, 1), np.uint8)
    for method in (model.fit, model.evaluate, model.train_on_batch, model.test_on_batch):
        with pytest.raises(ValueError, match="sample weights are not supported"):
            method(images, sample_weight=np.zeros(4))
    with pytest.raises(ValueError, match="sample weights are not supported"):
        model.evaluate(images, None, 4, 0, np.zeros(4))
    with pytest.raises(ValueError, match="class_weight is not supported"):
        model.fit(images, class_weight={0: 1.0})
