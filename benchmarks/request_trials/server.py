"""A process that answers requests as TensorFlow Serving does, and can crash alone."""

import multiprocessing
import resource


class Crashed(Exception):
    """The process has ended."""


class Hung(Exception):
    """The process gave no answer in time."""


class Server:
    """A child process with a SavedModel in a session.

    Attributes:
      signatures: name → inputs: name → (dtype, shape).
    """

    def __init__(self, path, seconds=120):
        """Args: path: of the SavedModel; seconds: how long an answer may take."""
        context = multiprocessing.get_context("spawn")
        self._connection, other = context.Pipe()
        self._seconds = seconds
        self._process = context.Process(target=serve, args=(str(path), other), daemon=True)
        self._process.start()
        other.close()
        self.signatures = self._receive()

    def answer(self, signature, inputs):
        """Returns (outputs: name → array, None), or (None, (kind of error, message))."""
        return self._call(("request", signature, inputs))

    def peak_memory(self):
        """The most memory that the process has had, in megabytes."""
        return self._call(("memory",))

    def stop(self):
        self._process.kill()
        self._process.join()

    def _call(self, message):
        try:
            self._connection.send(message)
        except BrokenPipeError:
            raise Crashed from None
        return self._receive()

    def _receive(self):
        if not self._connection.poll(self._seconds):
            self.stop()
            raise Hung
        try:
            return self._connection.recv()
        except (EOFError, ConnectionResetError):
            self._process.join()
            raise Crashed(f"exit code {self._process.exitcode}") from None


def serve(path, connection):
    """What the process does."""
    from gated_pixelcnn.errors import import_tensorflow_quietly

    import_tensorflow_quietly()
    import tensorflow as tf

    tf.get_logger().setLevel("ERROR")  # the session loader is deprecated
    with tf.compat.v1.Session(graph=tf.Graph()) as session:
        model = InSession(session, path)
        connection.send(model.signatures)
        while True:
            try:
                kind, *arguments = connection.recv()
            except EOFError:
                return
            if kind == "memory":
                connection.send(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
                continue
            try:
                connection.send((model(*arguments), None))
            except tf.errors.OpError as error:
                connection.send((None, (type(error).__name__, error.message)))


class InSession:
    """A SavedModel as TensorFlow Serving has it: nothing stands between requests and the graph.

    Attributes:
      signatures: name → inputs: name → (dtype, shape).
    """

    def __init__(self, session, path):
        """Args: session: that it is loaded into; path: of the SavedModel."""
        import tensorflow as tf

        self._session = session
        found = tf.compat.v1.saved_model.load(session, ["serve"], path).signature_def
        self._found = {k: v for k, v in found.items() if not k.startswith("__")}
        self.signatures = {name: specs(found.inputs) for name, found in self._found.items()}
        self._callables = {}

    def __call__(self, name, inputs):
        """Returns outputs: name → array, or raises what TensorFlow raises."""
        found, key = self._found[name], (name, *inputs)
        if key not in self._callables:
            feeds = [found.inputs[name].name for name in inputs]
            self._callables[key] = self._callable(feeds, [o.name for o in found.outputs.values()])
        result = self._callables[key](*inputs.values())
        return dict(zip(found.outputs, result, strict=True))

    def _callable(self, feeds, fetches):
        # `session.run` looks at shapes first, which a server does not.
        from tensorflow.core.protobuf.config_pb2 import CallableOptions

        return self._session._make_callable_from_options(CallableOptions(feed=feeds, fetch=fetches))


def specs(inputs):
    """name → (dtype, shape) of a signature's inputs."""
    import tensorflow as tf

    return {
        name: (
            tf.as_dtype(info.dtype).as_numpy_dtype,
            tuple(None if d.size < 0 else d.size for d in info.tensor_shape.dim),
        )
        for name, info in inputs.items()
    }
