"""Training a model: one loop for one device and for every strategy, and what it needs.

`train.train` is the way in, `loop` what happens between its start and its end; `state` is one step,
`optimizers` schedule, clipping and averages; `strategies` where it runs and `workers` what several
processes tell each other; `monitoring` what is shown; `interrupts` how it stops. The settings are
in `configs/training.py`, what is written in `runs/`.
"""
