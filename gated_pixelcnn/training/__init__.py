"""Training a model: one loop for one device and for every strategy, and what it needs.

`loop.train` is the way in; `state` is one step, `config` the settings, `optimizers` schedule,
clipping and averages; `checkpoints` and `run_directory` what is written; `monitoring` and
`progress` what is shown; `interrupts` how it stops. This file imports nothing: configurations read
`config` without TensorFlow.
"""
