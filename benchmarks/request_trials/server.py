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
    """What the process does: the session loader, and nothing between requests and the graph."""
    from gated_pixelcnn.errors import import_tensorflow_quietly

    import_tensorflow_quietly()
    import tensorflow as tf

    tf.get_logger().setLevel("ERROR")  # the session loader is deprecated
    with tf.compat.v1.Session(graph=tf.Graph()) as session:
        signatures = tf.compat.v1.saved_model.load(session, ["serve"], path).signature_def
        signatures = {k: v for k, v in signatures.items() if not k.startswith("__")}
        connection.send({name: specs(s.inputs) for name, s in signatures.items()})
        callables = {}
        while True:
            try:
                kind, *arguments = connection.recv()
            except EOFError:
                return
            if kind == "memory":
                connection.send(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
                continue
            name, inputs = arguments
            signature, key = signatures[name], (name, *inputs)
            if key not in callables:
                feeds = [signature.inputs[key].name for key in inputs]
                callables[key] = in_session(session, feeds, signature.outputs)
            try:
                result = callables[key](*inputs.values())
                connection.send((dict(zip(signature.outputs, result, strict=True)), None))
            except tf.errors.OpError as error:
                connection.send((None, (type(error).__name__, error.message)))


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


def in_session(session, feeds, outputs):
    """A function of the graph. `session.run` looks at shapes first, which a server does not."""
    from tensorflow.core.protobuf.config_pb2 import CallableOptions

    fetches = [info.name for info in outputs.values()]
    return session._make_callable_from_options(CallableOptions(feed=feeds, fetch=fetches))
