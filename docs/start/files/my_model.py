import keras


def build_model(hp, input_shape=(64, 64, 3), num_classes=2):
    """A small convolutional network."""
    model = keras.Sequential([keras.Input(input_shape), keras.layers.Rescaling(1 / 255)])
    for index in range(hp.Int("blocks", 1, 3, default=2)):
        filters = hp.Int(f"filters_{index}", 16, 64, step=16)
        model.add(keras.layers.Conv2D(filters, 3, padding="same", activation="relu"))
        model.add(keras.layers.MaxPooling2D())
    model.add(keras.layers.Flatten())
    model.add(keras.layers.Dropout(hp.Float("dropout", 0.0, 0.5, step=0.1)))
    model.add(keras.layers.Dense(num_classes, activation="softmax"))
    model.compile(
        optimizer=keras.optimizers.Adam(hp.Float("learning_rate", 1e-4, 1e-2, sampling="log")),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model
