"""The training step and what it is made of, on a model that is as small as can be."""

import types

import keras
import numpy as np
import pytest
import tensorflow as tf

from gated_pixelcnn.configs.training import TrainConfig
from gated_pixelcnn.errors import UserError
from gated_pixelcnn.training.optimizers import MovingAverage, Schedule, clip_scale
from gated_pixelcnn.training.state import Diverged, TrainState

IMAGES = np.arange(8 * 4, dtype=np.uint8).reshape(8, 2, 2, 1)


class Toy(keras.Model):
    """A linear model with dropout and the loss of a density model."""

    def __init__(self, dropout=0.0, scale=1.0):
        super().__init__()
        self.flatten = keras.layers.Flatten()
        self.dropout = keras.layers.Dropout(dropout)
        self.dense = keras.layers.Dense(3, name="dense")
        self.scale = scale
        self(IMAGES)

    def call(self, images, training=False):
        x = tf.cast(images, tf.float32) / 32
        return self.dense(self.dropout(self.flatten(x), training=training))

    def checked(self, images, condition=None):
        return images, condition

    checked_batch = checked

    def training_loss_of(self, images, condition, training):
        return self.scale * tf.reduce_sum(tf.square(self(images, training=training) - 1), axis=1)


def make_state(toy=Toy, seed=0, **settings):
    keras.utils.set_random_seed(0)
    settings = {"batch_size": 8, "clip_norm": 0.0} | settings
    return TrainState(toy(), TrainConfig(**settings), seed, tf.distribute.get_strategy())


def with_dropout():
    return Toy(dropout=0.5)


def values(variables):
    return [np.array(variable) for variable in variables]


def assert_equal(first, second):
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)


# Learning rate


def test_warmup_and_decay_go_by_the_step():
    rates = {
        kind: [
            float(Schedule(2.0, 14, 4, kind, 0.5, 0.9)(step)) for step in (0, 1, 3, 4, 9, 14, 20)
        ]
        for kind in ("constant", "linear", "cosine", "exponential")
    }
    warmup = [0.5, 1.0, 2.0, 2.0]
    assert rates["constant"] == pytest.approx([*warmup, 2.0, 2.0, 2.0])
    assert rates["linear"] == pytest.approx([*warmup, 1.5, 1.0, 1.0])
    assert rates["cosine"] == pytest.approx([*warmup, 1.5, 1.0, 1.0])
    assert rates["exponential"] == pytest.approx([*warmup, 2 * 0.9**5, 2 * 0.9**10, 2 * 0.9**16])


def test_a_slow_exponential_decay_is_exact_after_many_steps():
    rate = float(Schedule(1.0, 1, decay=0.999995, schedule="exponential")(200_000))
    assert rate == pytest.approx(0.999995**200_000, rel=1e-5)


def test_the_step_uses_the_learning_rate_of_its_number():
    state = make_state(optimizer="rmsprop", rho=0.0, learning_rate=0.1, warmup_steps=4)
    for expected in (0.025, 0.05, 0.075, 0.1, 0.1):
        before = values(state.model.trainable_variables)
        state.make_step((IMAGES,))
        after = values(state.model.trainable_variables)
        # RMSProp without memory moves every weight by the learning rate itself.
        assert np.abs(after[0] - before[0]).max() == pytest.approx(expected, rel=1e-3)


# Clipping


def test_the_scale_of_the_gradient_limits_its_norm_and_never_enlarges_it():
    for norm, clip, expected in [(4.0, 1.0, 0.25), (0.5, 1.0, 1.0), (4.0, 0.0, 1.0), (0.0, 1.0, 1)]:
        assert float(clip_scale(tf.constant(norm), clip)) == pytest.approx(expected)


def test_the_gradient_is_clipped_by_the_norm_of_all_variables_together():
    def update(clip_norm):
        # Momentum 0 and a huge epsilon make RMSProp plain gradient descent.
        state = make_state(
            optimizer="rmsprop", epsilon=1e6, learning_rate=1e6, rho=0.0, clip_norm=clip_norm
        )
        before = values(state.model.trainable_variables)
        _, norm = state.make_step((IMAGES,))
        after = values(state.model.trainable_variables)
        return [a - b for a, b in zip(after, before, strict=True)], float(norm)

    free, norm = update(0.0)
    clipped, reported = update(norm / 4)
    assert reported == pytest.approx(norm)  # before clipping
    for whole, part in zip(free, clipped, strict=True):
        np.testing.assert_allclose(part, whole / 4, rtol=1e-3, atol=1e-7)


# Moving average


def test_the_average_follows_the_weights_with_its_warmed_up_decay():
    state = make_state(ema_decay=0.3)
    expected = values(state.model.trainable_variables)
    for step in range(5):
        state.make_step((IMAGES,))
        decay = min(0.3, (1 + step) / (10 + step))
        weights = values(state.model.trainable_variables)
        expected = [decay * e + (1 - decay) * w for e, w in zip(expected, weights, strict=True)]
    for average, e in zip(values(state.average.variables), expected, strict=True):
        np.testing.assert_allclose(average, e, rtol=1e-5, atol=1e-7)


def test_averaged_weights_are_used_inside_the_context_and_put_back_after_it():
    state = make_state(ema_decay=0.9, learning_rate=0.1)
    state.make_step((IMAGES,))
    weights, average = values(state.model.trainable_variables), values(state.average.variables)
    with pytest.raises(RuntimeError), state.averaged_weights():
        assert_equal(values(state.model.trainable_variables), average)
        raise RuntimeError
    assert_equal(values(state.model.trainable_variables), weights)
    assert not np.array_equal(weights[0], average[0])


def test_no_average_means_the_weights_themselves():
    state = make_state(ema_decay=0.0)
    state.make_step((IMAGES,))
    weights = values(state.model.trainable_variables)
    with state.averaged_weights():
        assert_equal(values(state.model.trainable_variables), weights)


def test_the_average_starts_as_the_weights():
    weight = tf.Variable([1.0, 2.0])
    average = MovingAverage([weight], 0.9)
    assert_equal(values(average.variables), [np.array([1.0, 2.0], np.float32)])


# Steps that are not finite


@pytest.mark.parametrize("scale", [float("nan"), float("inf"), 1e30])
def test_a_step_that_is_not_finite_changes_nothing(scale):
    bad = make_state(lambda: Toy(scale=scale), ema_decay=0.9)
    before = values(bad.model.weights + bad.optimizer.variables) + values(bad.average.variables)
    with pytest.raises(Diverged, match="step 1 is not finite"):
        bad.make_step((IMAGES,))
    after = values(bad.model.weights + bad.optimizer.variables) + values(bad.average.variables)
    assert_equal(before, after)
    assert bad.step == 0


def test_other_errors_of_the_step_keep_their_kind():
    state = make_state()
    state.model.training_loss_of = lambda images, *_, **__: tf.debugging.check_numerics(
        tf.reduce_sum(tf.cast(images, tf.float32) / 0.0, axis=[1, 2, 3]), "elsewhere"
    )
    with pytest.raises(tf.errors.InvalidArgumentError, match="elsewhere"):
        state.make_step((IMAGES,))


# Random numbers


def test_dropout_is_a_function_of_seed_and_step():
    def losses(seed, steps=3):
        state = make_state(with_dropout, seed=seed, learning_rate=1e-30)
        return [float(state.make_step((IMAGES,))[0]) for _ in range(steps)], state

    first, state = losses(0)
    assert first == losses(0)[0]
    assert len(set(first + losses(1)[0])) == 6  # another seed, another step: other masks

    # Going back to the start of step 2 gives its mask again.
    other = make_state(with_dropout, learning_rate=1e-30)
    other.optimizer.iterations.assign(2)
    assert float(other.make_step((IMAGES,))[0]) == first[2]


# Memory and speed


@pytest.mark.parametrize("settings", [{"accumulation": 2}, {"accumulation": 8}, {"jit": "on"}])
def test_the_way_a_step_is_computed_does_not_change_it(settings):
    plain, other = make_state(clip_norm=0.1), make_state(clip_norm=0.1, **settings)
    for _ in range(3):
        wanted, found = plain.make_step((IMAGES,)), other.make_step((IMAGES,))
        np.testing.assert_allclose(found, wanted, rtol=1e-5)
    for name, array in plain.arrays().items():
        np.testing.assert_allclose(other.arrays()[name], array, rtol=1e-4, atol=1e-7)


def test_parts_of_a_batch_are_never_under_way_at_once():
    step = make_state(accumulation=4)._run.get_concrete_function((tf.constant(IMAGES),))
    loops = [op for op in step.graph.get_operations() if "While" in op.type]
    assert [op.get_attr("parallel_iterations") for op in loops] == [1]


def test_each_part_of_a_batch_has_dropout_of_its_own():
    def losses(num, steps, **settings):
        state = make_state(with_dropout, batch_size=num, learning_rate=1e-30, **settings)
        batch = (np.repeat(IMAGES[7:], num, axis=0),)
        return [float(state.make_step(batch)[0]) for _ in range(steps)]

    alone = np.array(losses(1, 6))
    assert len(set(alone)) > 1
    # Parts of steps of two take the dropout seeds that steps of one take, in turn.
    np.testing.assert_allclose(losses(2, 3, accumulation=2), alone.reshape(3, 2).mean(axis=1))


def test_rematerialisation_and_dropout_exclude_each_other():
    with pytest.raises(UserError, match="train.remat=true cannot be had with dropout"):
        make_state(with_dropout, remat=True)


@pytest.mark.parametrize(
    ("jit", "precision", "compiled"),
    [
        ("on", "float32", True),
        ("off", "float32", False),
        ("auto", "float32", False),
        ("auto", "mixed_bfloat16", True),
        ("off", "mixed_bfloat16", False),
    ],
)
def test_xla_compiles_the_passes_where_it_is_told_to_or_needed(jit, precision, compiled):
    state = make_state(jit=jit, precision=precision)
    state.make_step((IMAGES,))
    graph = state._run.get_concrete_function((tf.constant(IMAGES),)).graph
    functions = graph.as_graph_def().library.function
    assert any("_XlaMustCompile" in f.attr and f.attr["_XlaMustCompile"].b for f in functions) == (
        compiled and not tf.config.list_logical_devices("GPU")
    )


def test_a_float16_gradient_that_overflows_skips_the_update_but_not_the_step():
    state = make_state(precision="mixed_float16")
    state.optimizer.dynamic_scale.assign(2.0**100)
    before = values(state.model.trainable_variables)
    loss, norm = state.make_step((IMAGES,))
    assert np.isfinite(loss) and not np.isfinite(norm)
    assert_equal(values(state.model.trainable_variables), before)
    assert (state.step, int(np.asarray(state.optimizer.iterations))) == (1, 1)
    assert state.loss_scale == 2.0**99

    state.optimizer.dynamic_scale.assign(2.0**10)
    _, norm = state.make_step((IMAGES,))
    assert np.isfinite(norm) and state.step == 2
    assert not np.array_equal(values(state.model.trainable_variables)[0], before[0])


def test_the_loss_scale_leaves_no_trace_in_the_update():
    plain, scaled = make_state(clip_norm=0.1), make_state(clip_norm=0.1, precision="mixed_float16")
    for _ in range(2):
        wanted, found = plain.make_step((IMAGES,)), scaled.make_step((IMAGES,))
        np.testing.assert_allclose(found, wanted, rtol=1e-5)
    for a, b in zip(
        values(plain.model.weights), values(scaled.model.weights), strict=True
    ):  # (the toy itself computes in float32)
        np.testing.assert_allclose(b, a, rtol=1e-4)


def test_a_loss_that_is_not_finite_is_no_matter_of_the_loss_scale():
    state = make_state(lambda: Toy(scale=float("nan")), precision="mixed_float16")
    with pytest.raises(Diverged):
        state.make_step((IMAGES,))


# Everything back


@pytest.mark.parametrize("optimizer", ["adam", "adamax", "rmsprop"])
def test_a_restored_state_goes_on_bit_for_bit(optimizer):
    settings = {"optimizer": optimizer, "warmup_steps": 5, "momentum": 0.5, "ema_decay": 0.9}
    whole = make_state(with_dropout, **settings)
    for _ in range(3):
        whole.make_step((IMAGES,))
    arrays = {name: array.copy() for name, array in whole.arrays().items()}
    for _ in range(3):
        whole.make_step((IMAGES,))

    resumed = make_state(with_dropout, **settings)
    resumed.restore(arrays, "somewhere")
    assert resumed.step == 3
    for _ in range(3):
        resumed.make_step((IMAGES,))
    expected, found = whole.arrays(), resumed.arrays()
    assert expected.keys() == found.keys()
    assert_equal(expected.values(), found.values())


def test_settings_reach_the_optimizer():
    state = make_state(beta_1=0.5, beta_2=0.6, epsilon=1e-3)
    optimizer = state.optimizer
    assert (optimizer.beta_1, optimizer.beta_2, optimizer.epsilon) == (0.5, 0.6, 1e-3)
    state = make_state(optimizer="rmsprop", rho=0.7, momentum=0.8)
    assert (state.optimizer.rho, state.optimizer.momentum) == (0.7, 0.8)
    assert isinstance(make_state(optimizer="adamax").optimizer, keras.optimizers.Adamax)


def test_adam_is_that_of_the_paper():
    """Kingma and Ba, algorithm 1, with both moments corrected for their start at zero."""
    state, beta_1, beta_2 = make_state(beta_1=0.8, beta_2=0.9, epsilon=1e-3), 0.8, 0.9
    weights = [w.astype(np.float64) for w in values(state.model.trainable_variables)]
    moments = [(np.zeros_like(w), np.zeros_like(w)) for w in weights]
    for step in range(1, 4):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(state.model.training_loss_of(IMAGES, None, training=True))
        gradients = values(tape.gradient(loss, state.model.trainable_variables))
        rate = float(state._schedule(step - 1))
        state.make_step((IMAGES,))
        for i, g in enumerate(gradients):
            m = beta_1 * moments[i][0] + (1 - beta_1) * g
            v = beta_2 * moments[i][1] + (1 - beta_2) * g**2
            moments[i] = m, v
            corrected = m / (1 - beta_1**step), np.sqrt(v / (1 - beta_2**step))
            # The bound of the denominator stands before the correction, as in section 2 there.
            bound = 1e-3 / np.sqrt(1 - beta_2**step)
            weights[i] -= rate * corrected[0] / (corrected[1] + bound)
        for found, wanted in zip(state.model.trainable_variables, weights, strict=True):
            np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-7)


def test_the_epsilon_of_rmsprop_bounds_the_root_and_not_the_square():
    """The gradient of a weight of a large model is small, and its step as large as others."""
    for scale in (1e-3, 1e-9):
        rest = {"rho": 0.0, "epsilon": 1e-7, "learning_rate": 1e-3, "ema_decay": 0.0}
        state = make_state(lambda scale=scale: Toy(scale=scale), optimizer="rmsprop", **rest)
        before = values(state.model.trainable_variables)
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(state.model.training_loss_of(IMAGES, None, training=True))
        gradients = values(tape.gradient(loss, state.model.trainable_variables))
        state.make_step((IMAGES,))
        for weight, found, g in zip(
            before, state.model.trainable_variables, gradients, strict=True
        ):
            moved = 1e-3 * g / np.hypot(g, 1e-7)
            np.testing.assert_allclose(weight - found, moved, rtol=1e-3, atol=1e-7)


def test_the_step_does_not_look_at_more_than_it_is_given():
    # A model without dropout, condition or average takes the same path.
    model = Toy()
    original = model.training_loss_of
    seen = types.SimpleNamespace(condition="unset")

    def loss(images, condition, training):
        seen.condition, seen.training = condition, training
        return original(images, condition, training)

    model.training_loss_of = loss
    state = make_state(lambda: model, ema_decay=0.0)
    state.make_step((IMAGES,))
    assert seen.condition is None and seen.training is True
