"""One training step, and everything that it changes: weights, optimizer, averages, step."""

import contextlib
import functools

import keras
import numpy as np
import tensorflow as tf

from gated_pixelcnn import graph_checks
from gated_pixelcnn.errors import UserError
from gated_pixelcnn.models.capabilities import LearnsByAverages, Part, training_loss_and_sums
from gated_pixelcnn.models.trainable import check_remat
from gated_pixelcnn.runs import checkpoints
from gated_pixelcnn.training import optimizers
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
          model: A built Trainable that was made within the scope.
          train: TrainConfig.
          seed: Seed of the random numbers of the step (dropout).
          strategy: tf.distribute.Strategy.
        """
        self.model = model
        model.remat = train.remat
        self.strategy = strategy
        self.step = 0
        self.optimizer = make_optimizer(train)
        self._schedule = make_schedule(train)
        # Otherwise the first call of the step would be traced twice.
        self.optimizer.build(model.trainable_variables)
        self._weights = [variable.value for variable in model.trainable_variables]
        self.average = MovingAverage(self._weights, train.ema_decay) if train.ema_decay else None
        self._batch_size = train.batch_size
        self._microbatches = train.accumulation
        self._parts = strategy.num_replicas_in_sync * train.accumulation
        self._sum_shapes = model.sum_shapes if isinstance(model, LearnsByAverages) else []
        self._clip_norm = train.clip_norm
        self._seed = seed
        self._dropout_states = [v for v in model.variables if v.name == "seed_generator_state"]
        if train.remat:
            try:
                check_remat(model)
            except ValueError as error:
                raise UserError(f"train.{error}") from error
        self._gradients = self._gradients_of_part
        if train.jit == "on" or (train.jit == "auto" and _is_compiled_by_itself(train.precision)):
            self._gradients = tf.function(
                self._gradients_of_part, jit_compile=True, autograph=False
            )
        self._run = tf.function(self._run_replicas, autograph=False)

    def make_step(self, batch):
        """Makes one step.

        Args:
          batch: (images, condition) or (images,): what a distributed iterator gives.

        Returns:
          (loss, norm): the mean of the loss over the whole batch, and the global norm of its
          gradient before clipping. Tensors: the host does not wait for the device. In
          mixed_float16 the norm is not finite if the gradient overflowed; no weight changed then.

        Raises:
          Diverged: the loss or the gradient is not finite; no variable was changed.
          UserError: images or labels are out of the model's range; no variable was changed.
        """
        try:
            result = self._run(batch)
        except tf.errors.InvalidArgumentError as error:
            if _NOT_FINITE not in str(error):
                if message := graph_checks.told(error):
                    raise UserError(f"step {self.step + 1}: {message}") from error
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

    @property
    def loss_scale(self):
        """The loss scale of mixed_float16; None in other precisions."""
        scale = getattr(self.optimizer, "dynamic_scale", None)
        return None if scale is None else float(np.asarray(scale))

    def _run_replicas(self, batch):
        results = self.strategy.run(self._replica_step, args=(batch,))
        return [self.strategy.experimental_local_results(result)[0] for result in results]

    def _replica_step(self, batch):
        """The step of one replica, on its part of the batch; the update is the same on all."""
        iterations = self.optimizer.iterations.value
        step = iterations.read_value()  # now: the optimizer adds one
        context = tf.distribute.get_replica_context()
        scale = self._loss_scale()
        # Here, as XLA would leave assertions out.
        batch = [x for x in self.model.checked_batch(*batch) if x is not None]
        gradients, sums, loss = self._accumulated(batch, step, context, scale)
        gradients, sums, loss = context.all_reduce(
            tf.distribute.ReduceOp.SUM, (gradients, sums, loss)
        )
        norm = tf.linalg.global_norm(gradients) / scale
        finite = tf.math.is_finite(loss) & (tf.math.is_finite(norm) | (scale > 1.0))
        with tf.control_dependencies([tf.debugging.Assert(finite, [_NOT_FINITE, loss, norm])]):
            # Where only the norm overflowed, the optimizer must see it in the gradient, too.
            factor = tf.where(tf.math.is_finite(norm), clip_scale(norm, self._clip_norm), np.nan)
            gradients = [gradient * factor for gradient in gradients]
            self.optimizer.apply(gradients, self.model.trainable_variables)
            if sums:
                self.model.take_sums(sums, when=tf.math.is_finite(norm))
            iterations.assign(step + 1)  # also after an overflow: the step is the place in the data
            if self.average is not None:
                self.average.update(step)
        return loss, norm

    def _loss_scale(self):
        """Against the underflow of float16 gradients; the optimizer divides it out."""
        scaled = isinstance(self.optimizer, keras.optimizers.LossScaleOptimizer)
        return self.optimizer.scale_loss(1.0) if scaled else tf.constant(1.0)

    def _accumulated(self, batch, step, context, scale):
        """Gradients, sums and loss of this replica's share of the batch, part after part."""
        replica = tf.cast(context.replica_id_in_sync_group, tf.int64)
        number = tf.cast(step, tf.int64) * context.num_replicas_in_sync + replica
        if self._microbatches == 1:
            return self._gradients(batch, number, scale)
        batch = [tf.reshape(x, (self._microbatches, -1, *x.shape[1:])) for x in batch]

        def add(part, *found):
            more = self._gradients(
                [x[part] for x in batch],
                number * self._microbatches + tf.cast(part, tf.int64),
                scale,
            )
            return part + 1, *tf.nest.map_structure(tf.add, found, more)

        zeros = [tf.zeros(weight.shape, weight.dtype) for weight in self._weights]
        sums = [tf.zeros(shape, self.model.variable_dtype) for shape in self._sum_shapes]
        start = (tf.constant(0), zeros, sums, tf.constant(0.0))
        # One after the other: by default ten parts may be under way at once, each with its memory.
        loop = {"parallel_iterations": 1}
        return tf.while_loop(lambda part, *_: part < self._microbatches, add, start, **loop)[1:]

    def _gradients_of_part(self, batch, number, scale):
        """Forward and backward pass.

        Args:
          batch: (images, condition) or (images,).
          number: of this part among those of all steps, which its random numbers depend on.
          scale: what the loss is multiplied by before its gradient is taken.

        Returns:
          The gradient of every weight; what weights without a gradient learn from, see
          `LearnsByAverages`; and the loss (not scaled). The parts of a batch add up to its mean.
        """
        images, condition = batch if len(batch) == 2 else (*batch, None)
        first = number % self._parts * (self._batch_size // self._parts)
        part = Part(number // self._parts, first, self._batch_size)
        with self._stateless_dropout(number), tf.GradientTape() as tape:
            losses, sums = training_loss_and_sums(self.model, images, condition, part)
            loss = tf.reduce_sum(losses) / self._batch_size
            scaled = loss * scale
        gradients = tape.gradient(
            scaled, self._weights, unconnected_gradients=tf.UnconnectedGradients.ZERO
        )
        return gradients, sums, loss

    def _stateless_dropout(self, number):
        """Makes every random state of the model a function of (seed, number of the part)."""
        if not self._dropout_states:
            return contextlib.nullcontext()
        seeds = tf.random.stateless_uniform(
            (len(self._dropout_states), 2),
            (tf.constant(self._seed, tf.int64), number),
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

    def variables(self):
        """The variables of which a checkpoint holds the values, by name."""
        weights = checkpoints.named("weights", self.model.weights)
        optimizer = self.optimizer.variables
        names = [optimizers.name_of(variable, self.model.name) for variable in optimizer]
        result = weights | checkpoints.named("optimizer", optimizer, names)
        if self.average is not None:
            paths = map(checkpoints.path_of, self.model.trainable_variables)
            result |= checkpoints.named("average", self.average.variables, paths)
        return result

    def arrays(self):
        """Everything that a later `restore` needs, by name, as NumPy arrays."""
        return checkpoints.values(self.variables())

    def model_arrays(self):
        """The weights of the model, for evaluation and sampling only."""
        return checkpoints.values(checkpoints.named("weights", self.model.weights))

    def restore(self, arrays, path):
        """Sets everything to what `arrays` of an earlier run gave; see checkpoints.assign."""
        checkpoints.assign(self.variables(), arrays, path)
        self.step = int(np.asarray(self.optimizer.iterations))

    def take_from_chief(self, workers):
        """Gives all workers the chief's values; collective."""
        for variable in self.variables().values():
            variable.assign(workers.from_chief(np.asarray(variable)))
        self.step = int(np.asarray(self.optimizer.iterations))

    def log_prob_terms(self, images, condition=None):
        """The model's `log_prob_terms`, computed by all replicas together; collective.

        Args:
          images: integers [N, H, W, C], the same on all workers.
          condition: Labels [N], or None.

        Returns:
          Nats, float64 [N, P].
        """
        if self.strategy.num_replicas_in_sync == 1:
            return self.model.log_prob_terms(images, condition)
        whole = (images,) if condition is None else (images, condition)
        share = -(-len(images) // self.strategy.num_replicas_in_sync)

        def part(context):
            # Some images twice where the replicas could not have equal shares otherwise.
            wanted = (context.replica_id_in_sync_group * share + np.arange(share)) % len(images)
            return tuple(tf.constant(array[wanted]) for array in whole)

        parts = self.strategy.experimental_distribute_values_from_function(part)
        return self.strategy.gather(self._score(parts), axis=0)[: len(images)]

    @functools.cached_property
    def _score(self):
        def log_prob_terms(batch):
            return self.model.log_prob_terms_of(*self.model.checked(*batch))

        return tf.function(
            lambda parts: self.strategy.run(log_prob_terms, args=(parts,)), autograph=False
        )


def _is_compiled_by_itself(precision):
    """What jit="auto" means: on for a GPU, and for bfloat16, see TrainConfig."""
    return precision == "mixed_bfloat16" or bool(tf.config.list_logical_devices("GPU"))
