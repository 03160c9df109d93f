import itertools
import re
import shutil
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from scripts import call

import gated_pixelcnn as gpc
from gated_pixelcnn.cli import evaluate, sample
from gated_pixelcnn.configs.training import TrainConfig
from gated_pixelcnn.data.batches import ArraySplit
from gated_pixelcnn.errors import UserError
from gated_pixelcnn.evaluation import Images, verification
from gated_pixelcnn.evaluation.verification import Likeness
from gated_pixelcnn.models.families.embedding import Embedding, triplet_losses
from gated_pixelcnn.training import train as training

SHAPE = (8, 8, 1)


def faces(identities=8, each=5, seed=0):
    """Images of a pattern for each identity, with noise."""
    random = np.random.default_rng(seed)
    patterns = random.integers(0, 200, (identities, 1, *SHAPE))
    images = patterns + random.integers(0, 56, (identities, each, *SHAPE))
    labels = np.repeat(np.arange(identities), each)
    order = random.permutation(len(labels))
    return images.reshape(-1, *SHAPE).astype(np.uint8)[order], labels[order]


def levels_of(images_and_labels):
    """The same as a run of 32 levels sees them."""
    images, labels = images_and_labels
    return images // 8, labels


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    images, labels = faces()
    path = tmp_path_factory.mktemp("data") / "faces.npz"
    np.savez(path, x_train=images, y_train=labels)
    return f"data.source=npz:{path}"


@pytest.fixture(scope="module")
def run(tmp_path_factory, source):
    """The run of a small embedding; four of eight identities are held out."""
    workdir = tmp_path_factory.mktemp("runs") / "embedding"
    few = ["train.steps=80", "train.eval_every=40", "train.batch_size=8", "train.warmup_steps=0"]
    model = ["model.code_size=4", "model.encoder_features=8", "model.images_per_class=2"]
    data = [source, "data.image_size=0", "data.held_out_classes=4", "data.grayscale=false"]
    gpc.train(gpc.get_config("face_embedding", few + model + data), workdir)
    return workdir


def loss_of_loops(embeddings, labels, margin):
    """The triplet loss as the paper words it, one triplet at a time."""
    losses = []
    for a in range(len(labels)):
        own = []
        distance = [np.sum((embeddings[a] - other) ** 2) for other in embeddings]
        negatives = [n for n in range(len(labels)) if labels[n] != labels[a]]
        for p in range(len(labels)):
            if p == a or labels[p] != labels[a] or not negatives:
                continue
            semi_hard = [distance[n] for n in negatives if distance[n] > distance[p]]
            negative = min(semi_hard) if semi_hard else max(distance[n] for n in negatives)
            own.append(max(0.0, distance[p] - negative + margin))
        losses.append(np.mean(own) if own else 0.0)
    return losses


@pytest.mark.parametrize("labels", [[0, 0, 1, 1, 2, 2, 2], [0, 1, 2, 3, 4, 5, 6], [1] * 7])
def test_the_triplet_loss_is_that_of_a_loop_over_triplets(labels):
    vectors = np.random.default_rng(1).normal(size=(7, 3))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    found = triplet_losses(vectors, np.array(labels), 0.2)
    np.testing.assert_allclose(found, loss_of_loops(vectors, labels, 0.2), atol=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "mixed_float16"])
@pytest.mark.parametrize("size", [1.0, 1e-4, 1e4])  # squares of which float16 has not
def test_embeddings_have_unit_length(dtype, size):
    keras.utils.set_random_seed(0)
    model = Embedding(SHAPE, code_size=5, encoder_features=4, dtype=dtype)
    model.build()
    model.encoder.code.kernel.assign(model.encoder.code.kernel * size)
    found = np.linalg.norm(np.asarray(model(faces()[0]), np.float32), axis=1)
    np.testing.assert_allclose(found, 1, rtol=1e-5 if dtype == "float32" else 1e-2)


def test_a_batch_has_as_many_images_of_each_of_its_identities():
    images, labels = faces(identities=7, each=5)
    kept = np.sort(np.concatenate([np.flatnonzero(labels == 0)[:3], np.flatnonzero(labels > 0)]))
    images, labels = images[kept], labels[kept]  # one identity has fewer images than the others
    split = ArraySplit(images, labels)
    batches = list(itertools.islice(split.train_batches(12, seed=3, per_class=3), 20))
    seen = set()
    for found, of_found in batches:
        counts = np.bincount(of_found)
        assert sorted(counts[counts > 0]) == [3] * 4
        assert len({image.tobytes() for image in found.numpy()}) == 12, "an image comes once"
        for image, label in zip(found.numpy(), of_found.numpy(), strict=True):
            assert label in labels[(images == image).all(axis=(1, 2, 3))]
        seen |= {image.tobytes() for image in found.numpy()}
    assert len(seen) == 33
    later = next(iter(split.train_batches(12, seed=3, per_class=3, start_step=7)))
    np.testing.assert_array_equal(later[0], batches[7][0])
    parts = [
        next(iter(split.train_batches(12, 3, 7, num_shards=2, shard_index=i, per_class=3)))[0]
        for i in (0, 1)
    ]
    np.testing.assert_array_equal(np.concatenate(parts), batches[7][0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((13, 3), "multiple of model.images_per_class=3"),
        ((12, 6), "needs 2 identities with 6 images or more, but the training images have 0"),
        ((24, 3), "needs 8 identities with 3 images or more, but the training images have 7"),
    ],
)
def test_batches_by_identity_that_cannot_be_had_are_refused(arguments, message):
    batch_size, per_class = arguments
    split = ArraySplit(*faces(identities=7, each=5))
    with pytest.raises(UserError, match=message):
        split.train_batches(batch_size, seed=0, per_class=per_class)


def test_held_out_identities_are_validated_and_never_trained_on(source):
    config = gpc.get_config("face_embedding", [source, "data.held_out_classes=4"])
    from gated_pixelcnn import data

    settings = dict(config.data) | {"image_size": 0, "grayscale": False}
    found = data.load(data.DataConfig(**settings))
    assert set(found.train.labels) == {0, 1, 2, 3}
    assert set(found.validation.labels) == {4, 5}
    assert set(found.test.labels) == {6, 7}  # the best weights were not chosen by these
    odd = data.load(data.DataConfig(**settings | {"held_out_classes": 3}))
    assert [set(s.labels) for s in (odd.validation, odd.test)] == [{5}, {6, 7}]
    for count, message in ((8, "leaves nothing to train on"), (1, "must be 0, or 2 or more")):
        with pytest.raises(UserError, match=message):
            data.load(data.DataConfig(**settings | {"held_out_classes": count}))


def test_auc_is_the_probability_that_a_pair_of_one_identity_is_nearer():
    random = np.random.default_rng(0)
    vectors, labels = random.integers(0, 4, (12, 2)).astype(float), np.arange(12) % 3
    pairs = list(itertools.combinations(range(12), 2))
    distance = {(a, b): np.sum((vectors[a] - vectors[b]) ** 2) for a, b in pairs}
    same = [distance[a, b] for a, b in pairs if labels[a] == labels[b]]
    other = [distance[a, b] for a, b in pairs if labels[a] != labels[b]]
    wins = [(o > s) + 0.5 * (o == s) for s in same for o in other]
    assert verification.auc(vectors, labels) == pytest.approx(np.mean(wins))
    assert verification.auc(np.eye(3)[labels], labels) == 1


def test_vectors_that_are_no_numbers_are_not_taken_for_far_ones():
    vectors, labels = np.eye(4), np.arange(4) // 2
    vectors[2, 1] = np.nan
    with pytest.raises(FloatingPointError, match="vector of image 2 .counted from 0. is nan"):
        verification.auc(vectors, labels)
    for drawn, sources in ((vectors[:, None], np.eye(4)), (np.eye(4)[:, None], vectors)):
        with pytest.raises(FloatingPointError, match="image 2 .counted from 0. is nan"):
            verification.alike(drawn, sources, labels)


@pytest.mark.parametrize("labels", [[0, 1, 2], [0, 0, 0]])
def test_verification_without_pairs_of_both_kinds_is_an_error(labels):
    with pytest.raises(UserError, match="two images of one identity and two identities"):
        verification.auc(np.zeros((3, 2)), np.array(labels))


def test_training_tells_identities_apart(run, monkeypatch, capsys):
    call(evaluate, monkeypatch, f"--workdir={run}")
    out = capsys.readouterr().out
    assert "10 test images of 2 identities" in out
    model = gpc.load(run)
    images, labels = levels_of(faces())
    seen = labels < 4  # four are too few to learn what tells others apart
    assert verification.auc(np.asarray(model(images[seen])), labels[seen]) > 0.95


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((2, 8, 9, 1), np.uint8), r"images must have the shape \[N, 8, 8, 1\]"),
        (np.full((2, *SHAPE), 40, np.uint8), "images must have values 0…31"),
        (np.zeros((2, *SHAPE)), "images must be integers 0…31"),
    ],
)
def test_images_that_do_not_fit_an_embedding_are_refused(images, message):
    model = Embedding(SHAPE, levels=32, code_size=3, encoder_features=4)
    with pytest.raises(ValueError, match=message):
        model(images)


def test_an_embedding_has_nothing_to_draw(run, monkeypatch):
    with pytest.raises(UserError, match="an embedding, which has no images to draw"):
        call(sample, monkeypatch, f"--workdir={run}")
    with pytest.raises(UserError, match="an embedding, which has no images to draw"):
        gpc.export(run)
    assert not (run / "export").exists()


PORTRAITS = ["model.features=6", "model.layers=2", "model.kernel_size=3", "train.steps=2"]
PORTRAITS += ["model.encoder_features=8", "train.batch_size=4", "train.samples=2"]
PORTRAITS += ["data.image_size=0", "data.grayscale=false", "data.held_out_classes=4"]
PORTRAITS += ["train.eval_every=2", "train.sample_every=2"]


@pytest.fixture(scope="module")
def portraits(tmp_path_factory, run, source):
    workdir = tmp_path_factory.mktemp("runs") / "portraits"
    config = gpc.get_config(
        "portraits", [*PORTRAITS, source, f"train.encoder={run}", "model.code_size=4"]
    )
    gpc.train(config, workdir)
    return workdir


def test_portraits_start_with_the_embedding_and_leave_it_as_it_is(run, portraits):
    model, embedding = gpc.load(portraits), gpc.load(run)
    images, _ = levels_of(faces())
    np.testing.assert_allclose(model.encode(images), embedding(images), atol=1e-6)
    assert (portraits / "samples" / "step-000000002.png").is_file()


def test_alike_counts_how_often_drawn_images_are_nearer_to_their_source():
    random = np.random.default_rng(1)
    sources, labels = random.normal(size=(7, 3)), np.array([4, 4, 9, 9, 9, 2, 2])
    drawn = sources[:, None] + random.normal(size=(7, 2, 3))
    pairs, own = [], []
    for i, k in itertools.product(range(7), range(2)):
        distance = [np.linalg.norm(drawn[i, k] - source) for source in sources]
        others = [distance[i] < distance[j] for j in range(7) if labels[j] != labels[i]]
        pairs.append(np.mean(others))
        means = {x: np.mean(sources[labels == x], axis=0) for x in (4, 9, 2)}
        own.append(min(means, key=lambda x: np.linalg.norm(drawn[i, k] - means[x])) == labels[i])
    found = verification.alike(drawn, sources, labels)
    assert found["pairs"] == pytest.approx(np.mean(pairs))
    assert found["identities"] == np.mean(own) and found["chance"] == 1 / 3
    assert 0.5 < found["pairs"] < 1 and 0 < found["identities"] < 1
    with pytest.raises(UserError, match="two identities"):
        verification.alike(drawn[:2], sources[:2], labels[:2])


def test_likeness_draws_from_every_image_with_random_numbers_of_its_own():
    class Copies:  # draws the one number of a code, changed by the example seed's
        def encode(self, images):
            return images[:, 0, 0].astype(np.float64)

        def sample(self, condition, seed, example_seeds):
            drawn.extend(example_seeds + np.arange(len(condition)))
            return condition[:, None, None].astype(int)

    drawn = []
    images = np.arange(5, dtype=np.uint8).repeat(2).reshape(10, 1, 1, 1) * 9
    split = ArraySplit(images, np.arange(10) // 2)
    found = Likeness(3).evaluate(Copies(), Images(split, 8, 9))["likeness"]
    assert found == {"pairs": 1.0, "identities": 1.0, "chance": 1 / 5}
    assert drawn[: 9 * 3] == list(range(9 * 3))
    del drawn[:]
    with pytest.raises(UserError, match="there is only one"):
        Likeness(3).evaluate(Copies(), Images(split, num_images=2))
    assert not drawn


def test_evaluate_tells_how_often_portraits_are_like_their_source(portraits, monkeypatch, capsys):
    call(evaluate, monkeypatch, f"--workdir={portraits}", "--likeness=2", "--num_images=8")
    out = capsys.readouterr().out
    assert re.search(r"like their source +\d+\.\d% \(50\.0% by chance\)\n", out)
    assert re.search(r"of its identity +\d+\.\d% \(50\.0% by chance\)\n", out)


def test_likeness_of_what_has_no_code_is_refused(run, monkeypatch):
    with pytest.raises(UserError, match="--likeness is not possible: this run is of an embedding"):
        call(evaluate, monkeypatch, f"--workdir={run}", "--likeness=2")


def test_portraits_go_on_without_the_run_of_the_embedding(run, source, tmp_path):
    images, _ = levels_of(faces())
    changes = [*PORTRAITS, source, "model.code_size=4"]
    workdir, moved = tmp_path / "portraits", tmp_path / "moved"
    shutil.copytree(run, moved)
    gpc.train(gpc.get_config("portraits", [*changes, f"train.encoder={moved}"]), workdir)
    shutil.rmtree(moved)
    for change in (f"train.encoder={moved}", "train.encoder="):
        result = gpc.train(
            gpc.get_config("portraits", [*changes, change, "train.steps=3"]), workdir
        )
        assert result.step == 3
    np.testing.assert_allclose(
        gpc.load(workdir, "latest").encode(images), gpc.load(run)(images), atol=1e-6
    )


def test_an_encoder_that_is_not_trained_must_come_from_a_run(source, tmp_path):
    with pytest.raises(UserError, match="train_encoder=false needs an encoder that was trained"):
        gpc.train(gpc.get_config("portraits", [*PORTRAITS, source, "model.code_size=4"]), tmp_path)


@pytest.mark.parametrize("division", ["accumulation", "replicas"])
def test_a_batch_whose_images_are_compared_is_not_divided(source, tmp_path, division):
    changes = [source, "data.image_size=0", "data.held_out_classes=4", "data.grayscale=false"]
    changes += ["train.batch_size=8"]
    strategy = None
    if division == "accumulation":
        changes.append("train.accumulation=2")
    else:  # seen from the outside: this process has one device
        strategy = SimpleNamespace(num_replicas_in_sync=2)
    config = gpc.get_config("face_embedding", changes)
    with pytest.raises(UserError, match="compares all images of a batch .* --strategy=one_device"):
        if strategy is None:
            gpc.train(config, tmp_path)
        else:
            model = gpc.build_model(config, SHAPE, 32)
            training._check_whole_batches(model, TrainConfig(**config.train), strategy)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("model.code_size=5", "does not fit this model: set model.code_size=4"),
        ("data.image_size=4", "its images are of another shape"),
        ("model.condition=label", "needs a model that is conditioned on an image"),
    ],
)
def test_an_encoder_that_does_not_fit_is_refused(run, source, tmp_path, change, message):
    changes = [*PORTRAITS, source, f"train.encoder={run}", "model.code_size=4", change]
    if "label" in change:
        changes += ["model.code_size=0"]
    with pytest.raises(UserError, match=message):
        gpc.train(gpc.get_config("portraits", changes), tmp_path)
