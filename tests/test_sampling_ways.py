import numpy as np
import pytest
import tensorflow as tf
from families import randomise

import gated_pixelcnn as gpc
from gated_pixelcnn import sampling
from gated_pixelcnn.limits import METHODS
from gated_pixelcnn.models.registry import FAMILIES
from gated_pixelcnn.models.request import checked_request
from gated_pixelcnn.sampling import UNCHANGED, draw_value, loop

SMALL = {"features": 6, "layers": 2, "first_kernel_size": 3}


@pytest.fixture(scope="module")
def model():
    made = gpc.GatedPixelCNN((5, 6, 3), 7, **SMALL)
    made.build()
    randomise(made, 0)
    for block in made.blocks:  # that every value depends on the one before it
        block.row_conv.kernel.assign(3 * block.row_conv.kernel)
    return made


def steps_of(model, num, **how):
    """Images by the method "rows", and the number of steps."""

    def choose(parameters, colour, values, here):
        return draw_value(model.likelihood, parameters, colour, values, here["noise"], UNCHANGED)

    @tf.function(autograph=False)
    def run():
        inputs = {"noise": sampling.noise(1, tf.range(num), model)}
        return loop.run(model, None, inputs, choose, **how)

    images, steps = run()
    return images.numpy(), int(steps)


@pytest.mark.parametrize("jit", [False, True])
def test_every_way_draws_the_same_images(model, jit):
    wanted = model.sample(20, seed=4, jit=False).numpy()
    assert len(np.unique(wanted)) == model.levels
    for method in METHODS:
        np.testing.assert_array_equal(model.sample(20, seed=4, jit=jit, method=method), wanted)


def test_one_stack_of_one_block_draws_the_same_images_in_every_way():
    model = gpc.GatedPixelCNN((3, 4, 1), 7, features=6, layers=1, stacks=1)
    model.build()
    randomise(model, 0)
    wanted = model.sample(5, seed=4, jit=False, method="rows").numpy()
    for jit in (False, True):
        np.testing.assert_array_equal(model.sample(5, seed=4, jit=jit), wanted)


def test_a_request_for_rows_arrives(model, monkeypatch):
    found = []
    monkeypatch.setattr(sampling, "sample", lambda *arguments: found.append(arguments))
    for method in METHODS:
        model.draw(checked_request(model, 3, None, method=method))
    assert [arguments[-1] for arguments in found] == list(METHODS)


def test_images_are_completed_in_every_way(model):
    random = np.random.default_rng(0)
    given = random.integers(0, 7, (10, *model.image_shape)).astype(np.uint8)
    how = {"given": given, "known": random.random(given.shape) < 0.3, "seed": 2, "jit": False}
    how |= {"temperature": 0.7, "top_k": 4}
    wanted = model.sample(**how)
    for method in METHODS[1:]:
        np.testing.assert_array_equal(model.sample(method=method, **how), wanted)


def test_steps_are_counted_and_are_at_most_one_more_than_the_values_of_a_row(model):
    height, width, channels = model.image_shape
    pixels, made = steps_of(model, 20)
    assert made == height * width
    rows, made = steps_of(model, 20, method="rows")
    np.testing.assert_array_equal(rows, pixels)
    assert 2 * height < made <= height * (width * channels + 1)
    assert steps_of(model, 1, method="rows")[1] <= made  # a batch waits for the slowest
    images, made = steps_of(model, 20, method="image")
    np.testing.assert_array_equal(images, pixels)
    assert height < made <= height * width * channels + 1


def test_rows_whose_pixels_do_not_depend_on_each_other_take_two_steps():
    model = gpc.GatedPixelCNN((5, 6, 1), 7, **SMALL)
    model.build()
    randomise(model, 0)
    for block in model.blocks:
        block.row_conv.kernel.assign(tf.zeros_like(block.row_conv.kernel))
    images, made = steps_of(model, 20, method="rows")
    assert len(np.unique(images)) > 3
    assert made == 2 * 5  # the values, and that nothing changes
    assert steps_of(model, 20, method="image")[1] <= 5 + 1


def test_the_stages_of_a_model_are_drawn_by_rows_where_they_can_be():
    families = [dict(family=f, features=4, layers=1) for f in ("pixelcnn", "diagonal_bilstm")]
    arguments = dict(zip(("prior", "conditional"), families, strict=True))
    model = FAMILIES["auxiliary"]((4, 6, 1), 5, embedding_features=3, **arguments)
    model.build()
    randomise(model, 0)
    assert "rows" in model.methods and "rows" not in model.conditional.methods
    rows = model.sample(6, seed=3, jit=False, method="rows")
    np.testing.assert_array_equal(rows, model.sample(6, seed=3, jit=False))


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"jit": "rows"}, "jit must be True or False, got 'rows'"),
        ({"method": "row"}, "method must be one of pixels, rows, image, got 'row'"),
    ],
)
def test_ways_that_there_are_not_are_refused(model, how, message):
    with pytest.raises(ValueError, match=message):
        model.sample(1, **how)


def test_a_family_whose_pixels_need_each_others_states_is_not_drawn_by_rows():
    model = FAMILIES["diagonal_bilstm"]((3, 4, 1), 4, features=4, layers=1)
    model.build()
    assert model.sample(1, jit=False, method="image").shape == (1, 3, 4, 1)
    with pytest.raises(
        ValueError, match="method='rows' is not for this model, which draws by pixels or image"
    ):
        model.sample(1, method="rows")
