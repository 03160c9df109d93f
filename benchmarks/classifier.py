"""A classifier that has seen real images only, to tell the class of images that were drawn."""


def classifier_of(images, levels, path):
    """A convolutional network that tells the class of an image.

    Args:
      images: training images [N, H, W, C] and their labels, and perhaps more.
      levels: number of values of the images.
      path: .keras file where it is kept (pathlib.Path).
    """
    import keras

    x_train, y_train = images[:2]
    if path.exists():
        model = keras.saving.load_model(path)
    else:
        keras.utils.set_random_seed(0)
        conv = {"kernel_size": 3, "padding": "same", "activation": "relu"}
        model = keras.Sequential(
            [
                keras.layers.Rescaling(1 / (levels - 1)),
                keras.layers.Conv2D(32, **conv),
                keras.layers.MaxPooling2D(),
                keras.layers.Conv2D(64, **conv),
                keras.layers.MaxPooling2D(),
                keras.layers.Flatten(),
                keras.layers.Dropout(0.3),
                keras.layers.Dense(128, activation="relu"),
                keras.layers.Dense(int(y_train.max()) + 1),
            ]
        )
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile("adam", loss, metrics=["accuracy"])
        model.fit(x_train, y_train, batch_size=64, epochs=4, verbose=0)
        path.parent.mkdir(parents=True, exist_ok=True)
        model.save(path)
    return model
