"""The configuration of the training: `config.train`."""

import dataclasses
import re

from gated_pixelcnn.errors import UserError, nearest

OPTIMIZERS = ("adam", "adamax", "rmsprop")
SCHEDULES = ("constant", "linear", "cosine", "exponential")
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")
JIT = ("auto", "on", "off")

# What a run reports and keeps; the weights of a step are the same whatever these are.
REPORTING = (
    "log_every",
    "eval_every",
    "save_every",
    "keep",
    "sample_every",
    "samples",
    "histogram_every",
    "profile_steps",
)
# What may differ when a run is resumed: how long it goes on, what it reports, how the same step is
# computed, and where its first weights came from. (`linear` and `cosine` end at `steps`, so another
# `steps` also means another curve from there on.)
CHANGEABLE = (
    "steps",
    "minutes",
    "encoder",
    "tokenizer",
    "init_from",
    *REPORTING,
    "accumulation",
    "remat",
    "jit",
)
# What may differ if the user says so (train.py --allow_changes), for a run that diverged.
CHANGEABLE_ON_REQUEST = (
    "learning_rate",
    "warmup_steps",
    "schedule",
    "final_fraction",
    "decay",
    "clip_norm",
)


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """Settings of a training. A step is one update of the weights from one batch.

    Attributes:
      steps: Length of the training.
      minutes: Stops and saves after so many minutes of training, all resumed parts together;
        0: no limit. The schedule of the learning rate knows `steps` only.
      batch_size: Images per step, over all replicas together.
      optimizer: adam, adamax or rmsprop.
      learning_rate: The highest learning rate, reached after the warm-up.
      beta_1: Decay of adam's and adamax' average of the gradients.
      beta_2: Decay of their average of the squared gradients (adamax: of the maximum).
      rho: Decay of rmsprop's average of the squared gradients.
      momentum: Momentum of rmsprop.
      epsilon: Added to the root of the average of squares (rmsprop: its square under the root).
      warmup_steps: The learning rate rises linearly from 0 over so many steps.
      schedule: What the learning rate does after the warm-up: constant; linear or cosine from
        `learning_rate` at the end of the warm-up down to `final_fraction` of it at `steps`;
        exponential: multiplied by `decay` at every step.
      final_fraction: See schedule; 0..1.
      decay: See schedule; above 0, at most 1.
      clip_norm: Gradients of all variables together are scaled down to this norm if theirs is
        larger; 0: no clipping.
      ema_decay: Decay of the moving average of the weights, with which images are evaluated and
        sampled; at step t it is min(ema_decay, (1 + t) / (10 + t)). 0: no average.
      log_every: Steps between two reports of bits/dim, learning rate, gradient norm and images/s;
        one more at the end if half as many steps were made since.
      eval_every: Steps between two validations; the best one is kept. There is one more at the
        end, unless the run is shorter than this. 0: only at the end.
      eval_images: The first so many validation images are used; 0: all of them.
      eval_batch_size: Images per batch of the validation; 0: as batch_size.
      save_every: Steps between two checkpoints.
      keep: Number of checkpoints that are kept, the latest ones.
      sample_every: Steps between two grids of samples; at the end as for eval_every.
      samples: Number of images in a grid; 0: no grids.
      histogram_every: Steps between two histograms of all weights; at the end as for eval_every.
        0: none.
      profile_steps: The first and the last step that are profiled, such as "10,20"; "": none.
      encoder: Work directory of a run of an embedding or an autoencoder: a model conditioned on an
        image starts with its encoder; "": with a random one.
      tokenizer: Work directory of a run of a VQ-VAE: a prior of codes (vq_prior) is trained on its
        codes of the images, which are computed once, and has it from then on.
      init_from: Warm start: work directory of a run of the same family whose weights have the same
        shapes; of submodels that were trained apart (model.train_only) several, separated by
        commas. "": random weights.
      accumulation: Gradient accumulation: each replica cuts its share of a batch into so many
        parts and takes them one after the other, for memory; the update is that of the batch.
      remat: Rematerialisation: the backward pass computes the inside of every block again instead
        of keeping it, for memory, at the price of about one more forward pass. Not with dropout.
      precision: float32; mixed_bfloat16 or mixed_float16: the network computes in that type, from
        weights and to log-probabilities in float32. mixed_float16 scales the loss, and a step
        whose gradient overflows counts but changes no weight.
      jit: Whether XLA compiles the forward and backward pass: on, off or auto, which is on with a
        GPU or in mixed_bfloat16: without XLA a CPU is slow then, and its gradients of biases are
        sums in bfloat16.
      deterministic: Whether TensorFlow must use operations that give the same bits every time.
        A CPU does without; a GPU is slower with them.
    """

    steps: int = 100_000
    minutes: float = 0.0
    batch_size: int = 32
    optimizer: str = "adam"
    learning_rate: float = 1e-3
    beta_1: float = 0.9
    beta_2: float = 0.999
    rho: float = 0.95
    momentum: float = 0.0
    epsilon: float = 1e-8
    warmup_steps: int = 0
    schedule: str = "constant"
    final_fraction: float = 0.0
    decay: float = 0.99999
    clip_norm: float = 1.0
    ema_decay: float = 0.999
    log_every: int = 50
    eval_every: int = 1000
    eval_images: int = 0
    eval_batch_size: int = 0
    save_every: int = 1000
    keep: int = 3
    sample_every: int = 5000
    samples: int = 16
    histogram_every: int = 0
    profile_steps: str = ""
    encoder: str = ""
    tokenizer: str = ""
    init_from: str = ""
    accumulation: int = 1
    remat: bool = False
    precision: str = "float32"
    jit: str = "auto"
    deterministic: bool = False

    def __post_init__(self):
        """Checks the range of every field; raises UserError."""
        choices_of = {
            "optimizer": OPTIMIZERS,
            "schedule": SCHEDULES,
            "precision": PRECISIONS,
            "jit": JIT,
        }
        for name, choices in choices_of.items():
            value = getattr(self, name)
            if value not in choices:
                raise UserError(f"train.{name} is {value!r}{nearest(value, choices)}")
        self._require(
            lambda x: x >= 1,
            "at least 1",
            *("steps", "batch_size", "log_every", "save_every", "keep", "accumulation"),
        )
        self._require(lambda x: x > 0, "above 0", "learning_rate", "epsilon")
        self._require(
            lambda x: x >= 0,
            "0 or more",
            *("minutes", "warmup_steps", "clip_norm", "eval_every", "eval_images"),
            *("eval_batch_size", "sample_every", "samples", "histogram_every"),
        )
        self._require(
            lambda x: 0 <= x < 1,
            "at least 0 and below 1",
            *("beta_1", "beta_2", "rho", "momentum", "ema_decay"),
        )
        self._require(lambda x: 0 <= x <= 1, "between 0 and 1", "final_fraction")
        self._require(lambda x: 0 < x <= 1, "above 0 and at most 1", "decay")
        self.profiled()
        if self.jit == "on" and self.deterministic:
            raise UserError(
                "train.jit=on and train.deterministic=true exclude each other: TensorFlow would "
                "turn XLA off without a word; choose one"
            )

    def profiled(self) -> range:
        """The steps of `profile_steps`, counted from 1, as a range; raises UserError."""
        if not self.profile_steps:
            return range(0)
        found = re.fullmatch(r"\s*(\d+)\s*,\s*(\d+)\s*", self.profile_steps, re.ASCII)
        first, last = map(int, found.groups()) if found else (0, 0)
        if not 1 <= first <= last:
            raise UserError(
                "train.profile_steps must be a first and a last step, such as 10,20, but is "
                f"{self.profile_steps!r}"
            )
        return range(first, last + 1)

    def _require(self, allowed, what, *names):
        for name in names:
            value = getattr(self, name)
            if not allowed(value):  # a NaN is not allowed anywhere
                raise UserError(f"train.{name} must be {what}, but is {value}")
