"""One training step, and everything that it changes: weights, optimizer, averages, step."""

import contextlib

import keras
import numpy as np
import tensorflow as tf

from gated_pixelcnn.errors import UserError
from gated_pixelcnn.training import checkpoints
from gated_pixelcnn.training.optimizers import (
    MovingAverage,
    clip_scale,
    make_optimizer,
    make_schedule,
)

_NOT_FINITE = "loss or gradient not finite"


class Diverged(UserError):
    """The loss or the gradient of a step is NaN or infinite; the step was not made."""


class TrainState:
    """A model in training, the same on one device and under every tf.distribute strategy.

    Attributes:
      model: The model.
      optimizer: The Keras optimizer; its `iterations` are the number of steps made.
      average: The MovingAverage of the weights, or None.
      step: Number of steps made, kept on the host as well.
    """

    def __init__(self, model, train, seed, strategy):
        """Makes the optimizer and the averages. Call within the scope of the strategy.

        Args:
          model: A built DensityModel that was made within the scope.
          train: TrainConfig.
          seed: Seed of the random streams of the step (dropout).
          strategy: tf.distribute.Strategy.
        """
        self.model = model
        self.strategy = strategy
        self.step = 0
        self.optimizer = make_optimizer(train)
        self._schedule = make_schedule(train)
        # Otherwise the first call of the step would be traced twice.
        self.optimizer.build(model.trainable_variables)
        self._weights = [variable.value for variable in model.trainable_variables]
        self.average = MovingAverage(self._weights, train.ema_decay) if train.ema_decay else None
        self._batch_size = train.batch_size
        self._clip_norm = train.clip_norm
        self._seed = seed
        self._dropout_states = [v for v in model.variables if v.name == "seed_generator_state"]
        self._run = tf.function(self._run_replicas, autograph=False)

    def make_step(self, batch):
        """Makes one step.

        Args:
          batch: (images, condition) or (images,): what a distributed iterator gives.

        Returns:
          (loss, norm): bits/dim, the mean over the whole batch, and the global norm of its
          gradient before clipping. Tensors: the host does not wait for the device.

        Raises:
          Diverged: the loss or the gradient is not finite; no variable was changed.
        """
        try:
            result = self._run(batch)
        except tf.errors.InvalidArgumentError as error:
            if _NOT_FINITE not in str(error):
                raise
            raise Diverged(
                f"the loss or the gradient of step {self.step + 1} is not finite"
            ) from error
        self.step += 1
        return result

    @property
    def learning_rate(self):
        """The learning rate of the last step made; before the first one, that of the first."""
        return float(self._schedule(max(self.step - 1, 0)))

    def _run_replicas(self, batch):
        results = self.strategy.run(self._replica_step, args=(batch,))
        return [self.strategy.experimental_local_results(result)[0] for result in results]

    def _replica_step(self, batch):
        """The step of one replica, on its part of the batch; the update is the same on all."""
        images, condition = batch if len(batch) == 2 else (*batch, None)
        step = self.optimizer.iterations.value.read_value()  # now: the optimizer adds one
        context = tf.distribute.get_replica_context()
        with self._stateless_dropout(step, context), tf.GradientTape() as tape:
            bits = self.model.loss_bits_per_dim(images, condition, training=True)
            # The parts of all replicas add up to the mean over the whole batch.
            loss = tf.reduce_sum(bits) / self._batch_size
        gradients = tape.gradient(
            loss, self._weights, unconnected_gradients=tf.UnconnectedGradients.ZERO
        )
        *gradients, loss = context.all_reduce(tf.distribute.ReduceOp.SUM, [*gradients, loss])
        norm = tf.linalg.global_norm(gradients)
        finite = tf.math.is_finite(loss) & tf.math.is_finite(norm)
        with tf.control_dependencies([tf.debugging.Assert(finite, [_NOT_FINITE, loss, norm])]):
            # The optimizer adds up the gradients of the replicas, which are the same already.
            scale = clip_scale(norm, self._clip_norm) / context.num_replicas_in_sync
            gradients = [gradient * scale for gradient in gradients]
            self.optimizer.apply(gradients, self.model.trainable_variables)
            if self.average is not None:
                self.average.update(step)
        return loss, norm

    def _stateless_dropout(self, step, context):
        """Makes every random stream of the model a function of (seed, step, replica, stream)."""
        if not self._dropout_states:
            return contextlib.nullcontext()
        replicas = context.num_replicas_in_sync
        replica = tf.cast(context.replica_id_in_sync_group, tf.int64)
        seeds = tf.random.stateless_uniform(
            (len(self._dropout_states), 2),
            (tf.constant(self._seed, tf.int64), tf.cast(step, tf.int64) * replicas + replica),
            minval=None,
            maxval=None,
            dtype=tf.uint32,
            alg="philox",
        )
        states = zip(self._dropout_states, tf.unstack(seeds), strict=True)
        mapping = [(state, tf.cast(seed, state.dtype)) for state, seed in states]
        return keras.StatelessScope(mapping, initialize_variables=False)

    @contextlib.contextmanager
    def averaged_weights(self):
        """In this context the model has its averaged weights."""
        if self.average is None:
            yield
            return
        kept = [weight.numpy() for weight in self._weights]
        try:
            for weight, average in zip(self._weights, self.average.variables, strict=True):
                weight.assign(average.read_value())
            yield
        finally:
            for weight, value in zip(self._weights, kept, strict=True):
                weight.assign(value)

    def arrays(self):
        """Everything that a later `restore` needs, by name, as numpy arrays."""
        result = checkpoints.named("weights", self.model.weights)
        result |= checkpoints.named("optimizer", self.optimizer.variables)
        if self.average is not None:
            result |= checkpoints.named("average", self.average.variables)
        return result

    def model_arrays(self):
        """The weights of the model, for evaluation and sampling only."""
        return checkpoints.named("weights", self.model.weights)

    def restore(self, arrays, path):
        """Sets everything to what `arrays` of an earlier run gave; see checkpoints.assign."""
        checkpoints.assign("weights", self.model.weights, arrays, path)
        checkpoints.assign("optimizer", self.optimizer.variables, arrays, path)
        if self.average is not None:
            checkpoints.assign("average", self.average.variables, arrays, path)
        self.step = int(np.asarray(self.optimizer.iterations))
