"""Discrete codes.

Maps that another program made: give them by data.source and data.levels.
"""

from gated_pixelcnn.configs.preset import Preset

_TRAIN = dict(
    steps=20_000,
    batch_size=64,
    learning_rate=1e-3,
    warmup_steps=500,
    schedule="cosine",
    eval_every=1000,
    save_every=1000,
    sample_every=2000,
    samples=16,
)
_BOTTOM = dict(family="gated_pixelcnn", features=128, layers=12, embedding_size=64, dropout=0.1)
# Of a small map the first codes decide about all of it.
_TOP = _BOTTOM | dict(attention_every=4, attention_heads=4, attention_features=64)
codes = Preset(
    "Prior of maps of codes (give data.source, data.levels)",
    image_shape=(32, 32, 1),
    parameters=5_165_504,
    data=dict(source="npz:codes.npz", levels=512),
    model=_TOP | dict(values="categorical"),
    train=_TRAIN,
)
code_hierarchy = Preset(
    "Prior of top and bottom maps of codes, as VQ-VAE-2 has them (give data.source, data.levels)",
    image_shape=(32, 32, 5),
    parameters=10_470_528,
    data=dict(source="npz:codes.npz", levels=512),
    model=dict(
        family="code_hierarchy",
        prior=_TOP,
        conditional=_BOTTOM,
        embedding_features=64,
    ),
    train=_TRAIN,
)
supertux = Preset(
    "16x16 patches of SuperTux's levels (tools/supertux.py makes them)",
    image_shape=(16, 16, 1),
    parameters=347_957,
    data=dict(source="npz:supertux.npz", levels=2229),
    model=dict(
        values="categorical",
        features=32,
        layers=8,
        kernel_size=3,
        first_kernel_size=5,
        embedding_size=32,
        dropout=0.1,
    ),
    train=dict(
        steps=6000,
        batch_size=32,
        learning_rate=0.002,
        warmup_steps=200,
        schedule="cosine",
        final_fraction=0.02,
        eval_every=500,
        eval_batch_size=100,
        save_every=500,
        sample_every=2000,
        samples=16,
    ),
)
