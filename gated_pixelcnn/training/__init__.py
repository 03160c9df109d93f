"""Training a model: one loop for one device and for every strategy, and what it needs.

`train.train` is the way in, `loop` what happens between its start and its end; `state` is one step,
`config` the settings, `optimizers` schedule, clipping and averages; `strategies` where it runs and
`workers` what several processes tell each other; `checkpoints` and `run_directory` what is written;
`monitoring` what is shown; `interrupts` how it stops. This file imports nothing:
configurations read `config` without TensorFlow.
"""
