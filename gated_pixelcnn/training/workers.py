"""The processes that train together, and what they tell each other.

Each worker runs the same program on its part of every batch. Only the first one, the chief, reads
and writes the work directory, so it need not be shared.
"""

import contextlib
import functools
import json

import numpy as np
import tensorflow as tf

from gated_pixelcnn.errors import UserError, first_line

# What TensorFlow raises in the midst of an exchange if another worker is gone.
LOST = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.InternalError,
    tf.errors.UnknownError,
)


class LostWorker(UserError):
    """Another worker ended or was killed."""

    leave_at_once = True


class Workers:
    """The workers of a strategy. One process alone exchanges nothing.

    All methods are collective: every worker must call them, in the same order.

    Attributes:
      count: Number of workers.
      index: Which one this is.
      is_chief: Whether it is the one that reads and writes the work directory.
    """

    def __init__(self, strategy):
        """Args: strategy: tf.distribute.Strategy."""
        self.strategy = strategy
        self.count, self.index = 1, 0
        if isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
            resolver = strategy.cluster_resolver
            tasks = resolver.cluster_spec().as_dict()
            ranks = [(role, i) for role in sorted(tasks) for i in range(len(tasks[role]))]
            self.count = len(ranks)  # in alphabetic order: the chief, if there is one, is first
            self.index = ranks.index((resolver.task_type, resolver.task_id))
        self.is_chief = self.index == 0

    def texts(self, text):
        """Returns the text that each worker gave, in order."""
        if self.count == 1:
            return [text]
        encoded = np.frombuffer(text.encode(), np.uint8).astype(np.float32)  # as any device can
        lengths = self._sum(np.eye(self.count, dtype=np.float32)[self.index] * len(encoded))
        longest = int(lengths.max())
        rows = np.zeros((self.count, longest), np.float32)
        rows[self.index, : len(encoded)] = encoded
        return [
            row[: int(length)].astype(np.uint8).tobytes().decode()
            for row, length in zip(self._sum(rows), lengths, strict=True)
        ]

    def any(self, flags):
        """Returns, for each of some booleans, whether it is true for any of the workers."""
        if self.count == 1:
            return list(flags)
        return [bool(total) for total in self._sum(np.array(flags, np.float32))]

    def from_chief(self, array):
        """Returns the chief's array; that of the others must have its shape and type."""
        if self.count == 1:
            return array
        return self._sum(array if self.is_chief else np.zeros_like(array))

    def told(self, value):
        """Returns the chief's value: what JSON can hold. Of the others it is ignored."""
        if self.count == 1:
            return value
        return json.loads(self.texts(json.dumps(value if self.is_chief else None))[0])

    def wait(self):
        """Returns when all workers have come here."""
        self.any([False])

    def must_agree(self, what, facts):
        """Checks that all workers are about to do the same.

        Args:
          what: Name of the facts, plural, for the message.
          facts: Dict of names and values, both texts.

        Raises:
          UserError: the workers differ, on each of them; the message says in what.
        """
        every = [json.loads(text) for text in self.texts(json.dumps(facts))]
        names = sorted(set().union(*every))
        different = []
        for name in names:
            values = [each.get(name) for each in every]
            if len(set(values)) > 1:
                each = ", ".join(f"{value} on worker {i}" for i, value in enumerate(values))
                different.append(f"{name}: {each}")
        if different:
            raise UserError(
                f"the workers have different {what} ({'; '.join(different)}); start all of them "
                "with the same command"
            )

    @contextlib.contextmanager
    def lost_is_an_error(self):
        """In this context the loss of another worker is a UserError."""
        try:
            yield
        except LOST as error:
            if self.count == 1:
                raise
            raise LostWorker(
                f"worker {self.index} has lost another one of the {self.count} workers, which "
                "ended, was killed or takes the cluster to be another one; see what each of them "
                "wrote last, and start all of them again: the run goes on from its last checkpoint "
                f"({first_line(error)})"
            ) from error

    def _sum(self, array):
        """The sum over the workers; each counts once, however many replicas it has."""

        def value(context):
            per_worker = context.num_replicas_in_sync // self.count
            first = context.replica_id_in_sync_group % per_worker == 0
            return tf.constant(array if first else np.zeros_like(array))

        values = self.strategy.experimental_distribute_values_from_function(value)
        return self._summed(values).numpy()

    @functools.cached_property
    def _summed(self):
        def total(value):
            context = tf.distribute.get_replica_context()
            # An identity is placed on a device, which an argument of a graph is not.
            return context.all_reduce(tf.distribute.ReduceOp.SUM, tf.identity(value))

        @tf.function(reduce_retracing=True, autograph=False)
        def run(values):
            results = self.strategy.run(total, args=(values,))
            return self.strategy.experimental_local_results(results)[0]

        return run
