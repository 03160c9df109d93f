"""The learning rate as a function of the step, the optimizer, and clipping by the global norm."""

import math

import keras
import tensorflow as tf


class Schedule(keras.optimizers.schedules.LearningRateSchedule):
    """Warm-up, then decay, per step (not per epoch).

    The rate of step t (counted from 0) is learning_rate * min(1, (t + 1) / warmup_steps) * d(t),
    where d is 1 until the end of the warm-up and follows `schedule` from there.
    """

    def __init__(
        self,
        learning_rate,
        steps,
        warmup_steps=0,
        schedule="constant",
        final_fraction=0.0,
        decay=1.0,
    ):
        """See TrainConfig for the arguments."""
        self.learning_rate = learning_rate
        self.steps = steps
        self.warmup_steps = warmup_steps
        self.schedule = schedule
        self.final_fraction = final_fraction
        self.decay = decay

    def __call__(self, step):
        """Returns the learning rate of a step: a float32 scalar tensor."""
        step = tf.cast(step, tf.float32)
        warmup = tf.minimum(1.0, (step + 1.0) / max(self.warmup_steps, 1))
        after = tf.maximum(step - self.warmup_steps, 0.0)
        fraction = tf.minimum(after / max(self.steps - self.warmup_steps, 1), 1.0)
        if self.schedule == "linear":
            factor = 1.0 - (1.0 - self.final_fraction) * fraction
        elif self.schedule == "cosine":
            wave = 0.5 * (1.0 + tf.cos(math.pi * fraction))
            factor = self.final_fraction + (1.0 - self.final_fraction) * wave
        elif self.schedule == "exponential":
            # exp of a float64 logarithm: 0.999995 is not exact in float32, and powers add it up.
            factor = tf.exp(after * math.log(self.decay))
        else:
            factor = 1.0
        return self.learning_rate * warmup * factor

    def get_config(self):
        """Returns the constructor's arguments."""
        return dict(vars(self))


def make_schedule(train):
    """Makes the Schedule of a TrainConfig."""
    return Schedule(
        train.learning_rate,
        train.steps,
        train.warmup_steps,
        train.schedule,
        train.final_fraction,
        train.decay,
    )


class _Reduced:
    """For an optimizer whose gradients are the sums over all replicas already.

    Keras would add them up once more: a second time over the wire, and n times too large.
    """

    def _all_reduce_sum_gradients(self, grads_and_vars):
        return grads_and_vars


class Adam(_Reduced, keras.optimizers.Adam):
    """keras.optimizers.Adam for reduced gradients, as one operation per weight.

    Keras' own takes about twenty, which are a third of the time that the first step takes to trace.
    """

    def update_step(self, gradient, variable, learning_rate):
        """Updates one weight and its moments."""
        index, dtype = self._get_variable_index(variable), variable.dtype
        step = tf.cast(self.iterations.value + 1, dtype)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].value.handle,
            v=self._velocities[index].value.handle,
            beta1_power=tf.cast(self.beta_1, dtype) ** step,
            beta2_power=tf.cast(self.beta_2, dtype) ** step,
            lr=tf.cast(learning_rate, dtype),
            beta1=tf.cast(self.beta_1, dtype),
            beta2=tf.cast(self.beta_2, dtype),
            epsilon=tf.cast(self.epsilon, dtype),
            grad=tf.cast(gradient, dtype),
        )


class Adamax(_Reduced, keras.optimizers.Adamax):
    """keras.optimizers.Adamax for reduced gradients."""


class RMSprop(_Reduced, keras.optimizers.RMSprop):
    """keras.optimizers.RMSprop for reduced gradients."""


def make_optimizer(train):
    """Makes the Keras optimizer of a TrainConfig; its `iterations` are the step.

    It takes gradients that are added up over all replicas. Clipping is not the optimizer's: under
    a strategy it would clip every replica by itself.
    """
    schedule = make_schedule(train)
    if train.optimizer == "rmsprop":
        # Keras adds this one under the root.
        own = {"rho": train.rho, "momentum": train.momentum, "epsilon": train.epsilon**2}
        optimizer = RMSprop(schedule, **own)
    else:
        kind = {"adam": Adam, "adamax": Adamax}[train.optimizer]
        optimizer = kind(schedule, beta_1=train.beta_1, beta_2=train.beta_2, epsilon=train.epsilon)
    if train.precision == "mixed_float16":
        return keras.optimizers.LossScaleOptimizer(optimizer)
    return optimizer


def name_of(variable, model):
    """The name of an optimizer's variable that is the same in every process.

    Args:
      variable: Of the optimizer. Keras calls it "adam_1/MODEL_block_0_link_kernel_momentum".
      model: Name of the model of which the optimizer changes the weights.

    Returns:
      Such as "block_0_link_kernel_momentum", or "iteration" for what belongs to no weight; with
      "loss_scale/" before it for what `LossScaleOptimizer` adds.
    """
    owner, _, name = variable.path.partition("/")
    prefix = "loss_scale/" if owner.startswith("loss_scale") else ""
    return prefix + name.removeprefix(model + "_")


def clip_scale(norm, clip_norm):
    """The factor by which gradients of global norm `norm` are multiplied (scalar tensor)."""
    if not clip_norm:
        return tf.ones_like(norm)
    return clip_norm / tf.maximum(norm, clip_norm)


class MovingAverage:
    """Exponential moving average (EMA) of the trainable weights.

    Attributes:
      variables: The averages, one tf.Variable per weight; they start as the weights are.
    """

    def __init__(self, weights, decay):
        """Makes the averages.

        Args:
          weights: List of tf.Variable. Create within the scope of the strategy of the weights.
          decay: See TrainConfig.ema_decay; above 0 and below 1.
        """
        self.weights = weights
        self.decay = decay
        # On read: every replica updates its own copy (of the same weights), without traffic.
        self.variables = [
            tf.Variable(
                tf.zeros(weight.shape, weight.dtype),
                trainable=False,
                synchronization=tf.VariableSynchronization.ON_READ,
                aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
            )
            for weight in weights
        ]
        self.reset()

    def reset(self):
        """Sets the averages to the weights."""
        for average, weight in zip(self.variables, self.weights, strict=True):
            average.assign(weight.read_value())

    def update(self, step):
        """Moves the averages towards the weights; step is the number of updates before this one."""
        step = tf.cast(step, tf.float32)
        decay = tf.minimum(self.decay, (1.0 + step) / (10.0 + step))
        for average, weight in zip(self.variables, self.weights, strict=True):
            average.assign_sub((1.0 - decay) * (average - weight))
