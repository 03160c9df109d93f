"""Training: one loop around TrainState.make_step, for one device and for every strategy.

The batch of a step, its dropout and its learning rate are functions of (seed, step), so a run
that is stopped at any moment and started again goes on exactly as if it had not been stopped.
"""

import contextlib
import dataclasses
import math
import signal
import time

import numpy as np
import tensorflow as tf

from gated_pixelcnn import visualization
from gated_pixelcnn.data.batches import input_error
from gated_pixelcnn.errors import UserError
from gated_pixelcnn.evaluation.evaluators import DETAILED, validation_of
from gated_pixelcnn.evaluation.images import Images, split_batches
from gated_pixelcnn.models.density_model import DensityModel
from gated_pixelcnn.progress import Progress, duration
from gated_pixelcnn.training.interrupts import Stopped, StopRequests
from gated_pixelcnn.training.monitoring import Monitor
from gated_pixelcnn.training.profiling import Profiler
from gated_pixelcnn.training.state import Diverged
from gated_pixelcnn.training.workers import LOST


@dataclasses.dataclass(frozen=True)
class TrainResult:
    """The end of a run.

    Attributes:
      step: Steps made, those of earlier parts of the run included.
      stopped_by: "steps", "minutes" or "SIGTERM".
      loss: Of the last validation (bits/dim for a density model); None if there was none.
      best_loss: The lowest one; that of the model that `load` gives.
      best_step: Its step.
      seconds: Training time, that of earlier parts of the run included.
      unit: That of the losses.
    """

    step: int
    stopped_by: str
    loss: float | None
    best_loss: float | None
    best_step: int | None
    seconds: float
    unit: str = "bits/dim"


class Loop:
    """Steps, and what is due between them: reports, validation, samples, checkpoints.

    Every worker goes through the same steps; the chief alone writes and reports.
    """

    def __init__(self, config, settings, dataset, state, workers, run, checkpoints):
        """Keeps what `train` made; run and checkpoints are the chief's, None on other workers."""
        self.config = config
        self.settings = settings
        self.dataset, self.train = dataset, dataset.train
        self.state = state
        self.workers = workers
        self.run_directory = run
        self.checkpoints = checkpoints
        self.progress = Progress()
        self.validation = validation_of(state.model)
        # What a checkpoint holds beside the arrays. `window` are loss and gradient norm of the
        # steps since the last report, `evaluated` and `sampled` the last steps with these.
        self.history = {
            "seconds": 0.0,
            "window": [],
            "evaluated": 0,
            "sampled": 0,
            "loss": None,
            "best_loss": None,
            "best_step": None,
        }

    def restore(self):
        """Goes back to the latest checkpoint, if there is one; else makes sure of a fresh start."""
        if self.workers.is_chief:
            found = self.checkpoints.latest(set_aside=True)
            if found is None:
                if kept := self.checkpoints.set_best_aside():
                    new = "no checkpoint to go on from: the run starts anew"
                    self.progress.say(f"{new}; its best weights are now {kept}")
            else:
                arrays, self.history, path = found
                self.state.restore(arrays, path)
                self._believe_best()
                self.progress.say(f"resuming at step {self.state.step}")
        if self.workers.count > 1:
            self.history = self.workers.told(self.history)
            self.state.take_from_chief(self.workers)

    def _believe_best(self):
        """Takes the best validation from the file that holds its weights.

        It may be later than the checkpoint, or damaged.
        """
        best = self.checkpoints.best()
        meta = best.meta if best else {"step": None, "loss": None}
        self.history.update(best_step=meta["step"], best_loss=meta["loss"])

    def run(self):
        """Trains to the end, or until something stops it."""
        state = self.state
        resumed_seconds, self.started = self.history["seconds"], time.monotonic()
        self.seconds = lambda: resumed_seconds + time.monotonic() - self.started
        with contextlib.ExitStack() as stack:
            if self.workers.is_chief:
                self.monitor = stack.enter_context(
                    Monitor(
                        self.run_directory,
                        state.step,
                        visualization.look(state.model.image_spec),
                        state.model.loss_name,
                        self.validation.name,
                        self.history["evaluated"],
                    )
                )
                self.monitor.config(state.step, self.config)
            self.profiler = stack.enter_context(
                Profiler(self.run_directory, self.settings.profiled())
            )
            self.stop = stack.enter_context(StopRequests())
            self.first_step = state.step
            self.saved = self.histograms = state.step  # the last steps with these
            self.clock = None
            try:
                stopped_by = self._steps()
            except LOST:
                # No step is half made: the weights change after all that comes from the others.
                if self.workers.count > 1:
                    self._save()
                raise
        if stopped_by == "SIGINT":
            if self.workers.is_chief:
                self.progress.say(f"interrupted; saved at step {state.step}")
            raise KeyboardInterrupt
        return TrainResult(
            state.step,
            stopped_by,
            *(self.history[k] for k in ("loss", "best_loss", "best_step")),
            self.seconds(),
            self.validation.unit,
        )

    def _steps(self):
        """Makes steps and what is due between them; returns why it stopped."""
        batches = self._batches()
        self._do_what_is_due()
        while (stopped_by := self._finished()) is None:
            loss_and_norm = self.profiler.step(
                self.state.step + 1, lambda: self._make_step(batches)
            )
            self.history["window"].append(loss_and_norm)
            if self.clock is None:  # the first step traces the graph
                self._restart_clock()
            self._do_what_is_due()
        if stopped_by in ("steps", "minutes"):
            self._do_what_is_due(last=True)
            # A signal in the midst of this may have cut it short: the same command makes up for it.
            stopped_by = self._requests()[0] or stopped_by
        self._save()
        self.workers.wait()  # for the chief to have saved: who leaves first looks lost
        return stopped_by

    def _make_step(self, batches):
        """Makes one step; returns loss and norm."""
        try:
            batch = next(batches)
        except tf.errors.OpError as error:
            raise self._unreadable(input_error(error)) from error
        try:
            return self.state.make_step(batch)
        except Diverged as error:
            raise self._explained(f"{error}; the step was not made") from error

    def _batches(self):
        """Iterator over distributed batches from the next step on."""
        replicas = self.state.strategy.num_replicas_in_sync
        batch_size = self.settings.batch_size
        model = self.state.model

        def batches_of_worker(context):
            batches = self.train.train_batches(
                batch_size,
                self.config.seed,
                start_step=self.state.step,
                num_shards=context.num_input_pipelines,
                shard_index=context.input_pipeline_id,
                flips=self.config.data.flips,
                per_class=model.images_per_class,
            )
            if not model.takes_labels:
                batches = batches.map(lambda *batch: batch[:1])
            if replicas > context.num_input_pipelines:
                batches = batches.rebatch(batch_size // replicas)
            return batches

        return iter(self.state.strategy.distribute_datasets_from_function(batches_of_worker))

    def _unreadable(self, error):
        """Saves the steps made; returns the error that ends a run whose images cannot be read."""
        self._save()
        step = self.state.step
        saved = f"saved at step {step}" if step else "no step was made"
        return UserError(f"{error}; {saved}: the same command goes on from there")

    def _finished(self):
        """Why to stop now: "SIGINT", "SIGTERM", "steps", "minutes"; or None. The same on all."""
        came, late = self._requests()
        if came is None and self.state.step >= self.settings.steps:
            return "steps"
        return came or ("minutes" if late else None)

    def _requests(self):
        """The signal that came to any of the workers or None, and whether the time is up."""
        minutes = self.settings.minutes
        late = bool(minutes) and self.workers.is_chief and self.seconds() >= 60 * minutes
        came = self.stop.signal
        interrupted, terminated, late = self.workers.any(
            [came == signal.SIGINT, came == signal.SIGTERM, late]
        )
        return "SIGINT" if interrupted else "SIGTERM" if terminated else None, late

    def _do_what_is_due(self, last=False):
        """Reports, evaluates, samples, saves, each if the step is a multiple of its interval.

        Also called before the first step: a run that was stopped may have left something undone.
        """
        step, settings, history = self.state.step, self.settings, self.history

        def due(every, done):
            return step > done and (step >= every if last else every and step % every == 0)

        # At the end the mean of a few steps would be noise, and the number that tables show.
        window, enough = len(history["window"]), min(step, settings.log_every) / 2
        if window and (step % settings.log_every == 0 or last and window >= enough):
            self._report()
        if settings.histogram_every and due(settings.histogram_every, self.histograms):
            if self.workers.is_chief:
                self.monitor.histograms(step, self.state.model.trainable_variables)
            self.histograms = step
        if due(settings.eval_every, history["evaluated"]):
            self._evaluate()
        if due(settings.sample_every, history["sampled"]) and self.workers.is_chief:
            self._sample()
        if step % settings.save_every == 0 and step:
            self._save()

    def _report(self):
        window = np.asarray(self.history["window"], np.float64)  # waits for the device
        self.history["window"] = []
        if self.workers.is_chief:
            loss, norms = float(window[:, 0].mean()), window[:, 1]
            finite = norms[np.isfinite(norms)]  # all, but for float16 gradients that overflowed
            speed = self.settings.batch_size * self._steps_per_second()
            values = {
                f"train_{self.state.model.loss_name}": loss,
                "train_learning_rate": self.state.learning_rate,
                "train_gradient_norm": float(finite.mean()) if finite.size else None,
                "train_images_per_second": speed,
                "train_loss_scale": self.state.loss_scale,
            }
            self.monitor.scalars(
                self.state.step, {name: x for name, x in values.items() if x is not None}
            )
            self._show(loss, speed)
        self._restart_clock()

    def _show(self, loss, speed):
        step, steps, minutes = self.state.step, self.settings.steps, self.settings.minutes
        fraction = step / steps
        left = (steps - step) * self.settings.batch_size / speed if speed else math.inf
        if minutes:
            fraction = max(fraction, min(1.0, self.seconds() / (60 * minutes)))
            left = min(left, 60 * minutes - self.seconds())
        unit = self.state.model.loss_unit
        text = f"step {step}/{steps}  {loss:.4f} {unit}  {speed:.0f} images/s"
        self.progress.update(fraction, text, left)

    def _evaluate(self):
        """Validation of the averaged weights; keeps them if they are the best."""
        if self.dataset.validation is None:
            return
        settings, step, history = self.settings, self.state.step, self.history
        loss = unreadable = None
        details = {}
        with self.state.averaged_weights():
            # Elsewhere others would wait: workers, or the threads of replicas.
            alone = self.state.strategy.num_replicas_in_sync == 1
            model, validation = self.state.model, self.validation
            images = Images(
                self.dataset.validation,
                settings.eval_batch_size or settings.batch_size,
                settings.eval_images or None,
                log_prob_terms=self._log_prob_terms,
            )
            with self.stop.cut_short(at_once=alone):
                try:
                    loss = validation.loss(model, validation.evaluate(model, images))
                    for evaluator in DETAILED if self.workers.is_chief else ():
                        if evaluator.applies_to(model):
                            details |= evaluator.details_of(model, images)
                except FloatingPointError as error:
                    raise self._explained(f"validation after step {step}: {error}") from error
                except UserError as error:
                    unreadable = error  # saved below, with the weights that are not averaged
            if loss is not None:
                is_best = history["best_loss"] is None or loss < history["best_loss"]
                history.update(evaluated=step, loss=loss)
                if is_best:
                    history.update(best_loss=loss, best_step=step)
                if is_best and self.workers.is_chief:
                    self.checkpoints.save_best(
                        self.state.model_arrays(), {"step": step, "loss": loss}
                    )
        if unreadable is not None:
            raise self._unreadable(unreadable) from unreadable
        if loss is None:
            return
        if self.workers.is_chief:
            values = {validation.name: loss} | details
            self.monitor.scalars(step, {f"validation_{name}": x for name, x in values.items()})
            mark = "  (best)" if is_best else ""
            took = duration(self.seconds())
            self.progress.say(f"step {step}, {took}: validation {loss:.4f} {validation.unit}{mark}")
        self._restart_clock()

    def _log_prob_terms(self, images, condition):
        """Log-probabilities of validation images, by all replicas, unless it is time to stop."""
        if self._requests()[0]:
            raise Stopped
        return self.state.log_prob_terms(images, condition)

    def _sample(self):
        """A grid of samples of the averaged weights, always with the same seed."""
        model, num = self.state.model, self.settings.samples
        if not num or self.stop.signal is not None or not isinstance(model, DensityModel):
            return
        if model.untrained:
            return
        split = self.dataset.validation or self.dataset.train
        condition, shown, columns = model.condition_spec.for_grid(
            num, lambda num: next(split_batches(split, num, num))
        )
        with self.state.averaged_weights(), self.stop.cut_short():
            batch = model.sample(num if shown is None else None, condition, self.config.seed)
            if shown is not None:
                batch = np.concatenate([shown, batch])
            self.monitor.samples(self.state.step, batch, columns)
            self.history["sampled"] = self.state.step
        self._restart_clock()

    def _save(self):
        """Writes a checkpoint, unless this step has one."""
        if self.state.step == self.saved or not self.workers.is_chief:
            return
        self.history["seconds"] = self.seconds()
        self.history["window"] = np.asarray(self.history["window"], np.float64).tolist()
        self.checkpoints.save(self.state.step, self.state.arrays(), self.history)
        self.saved = self.state.step

    def _restart_clock(self):
        if self.state.step > self.first_step:
            self.clock = (time.monotonic(), self.state.step)

    def _steps_per_second(self):
        if self.clock is None:
            return 0.0
        started, step = self.clock
        return (self.state.step - step) / max(time.monotonic() - started, 1e-9)

    def _explained(self, what):
        """The error that ends a run which diverged."""
        if not self.workers.is_chief:
            return Diverged(what)
        steps = self.checkpoints.steps()
        if len(steps) > 1 and steps[-1] == self.state.step:
            # Its weights are what cannot be gone on from, whatever the learning rate.
            self.checkpoints.set_aside(steps.pop(), ".diverged")
        lower = "train.learning_rate"
        if self.settings.clip_norm > 0:
            lower += " or train.clip_norm"
        if steps:
            kept = f"the checkpoint of step {steps[-1]} is kept"
            hint = f"give --allow_changes and a lower {lower} to go on from there"
        else:
            kept = "there is no checkpoint"
            hint = f"lower {lower}, or lengthen train.warmup_steps"
        return Diverged(f"{what}; {kept} in {self.run_directory.path}; {hint}")
