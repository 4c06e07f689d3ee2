"""Notebooks as people wrote them for Keras 2, and a writer of such files."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

DEEP = [
    "%matplotlib inline\n!pip install keras",
    """\
from keras.datasets import cifar10
from keras.utils import np_utils
from keras.models import Sequential
from keras.layers.core import Dense, Dropout, Activation, Flatten
from keras.layers.convolutional import Conv2D, MaxPooling2D
from keras.optimizers import SGD, Adam, RMSprop
import matplotlib.pyplot as plt""",
    """\
# CIFAR_10 is a set of 60K images 32x32 pixels on 3 channels
IMG_CHANNELS = 3
IMG_ROWS = 32
IMG_COLS = 32

#constant
BATCH_SIZE = 128
NB_EPOCH = 20
NB_CLASSES = 10
VERBOSE = 1
VALIDATION_SPLIT = 0.2
OPTIM = RMSprop()""",
    """\
#load dataset
(X_train, y_train), (X_test, y_test) = cifar10.load_data()
print('X_train shape:', X_train.shape)
print(X_train.shape[0], 'train samples')
print(X_test.shape[0], 'test samples')""",
    """\
plt.figure(figsize=(8, 8))
for i in range(9):
    plt.subplot(3, 3, i + 1)
    plt.imshow(X_train[i])
plt.show()""",
    """\
# convert to categorical
Y_train = np_utils.to_categorical(y_train, NB_CLASSES)
Y_test = np_utils.to_categorical(y_test, NB_CLASSES)

# float and normalization
X_train = X_train.astype('float32')
X_test = X_test.astype('float32')
X_train /= 255
X_test /= 255""",
    """\
# network
model = Sequential()
model.add(Conv2D(32, (3, 3), padding='same', input_shape=(IMG_ROWS, IMG_COLS, IMG_CHANNELS)))
model.add(Activation('relu'))
model.add(Conv2D(32, (3, 3), padding='same'))
model.add(Activation('relu'))
model.add(MaxPooling2D(pool_size=(2, 2)))
model.add(Dropout(0.25))
model.add(Conv2D(64, (3, 3), padding='same'))
model.add(Activation('relu'))
model.add(Conv2D(64, 3, 3))
model.add(Activation('relu'))
model.add(MaxPooling2D(pool_size=(2, 2)))
model.add(Dropout(0.25))
model.add(Flatten())
model.add(Dense(512))
model.add(Activation('relu'))
model.add(Dropout(0.5))
model.add(Dense(NB_CLASSES))
model.add(Activation('softmax'))
model.summary()""",
    """\
model.compile(loss='categorical_crossentropy', optimizer=OPTIM, metrics=['accuracy'])
history = model.fit(X_train, Y_train, batch_size=BATCH_SIZE, nb_epoch=NB_EPOCH,
                    validation_split=VALIDATION_SPLIT, verbose=VERBOSE)""",
    """\
print('Testing...')
score = model.evaluate(X_test, Y_test, batch_size=BATCH_SIZE, verbose=VERBOSE)
print("\\nTest score:", score[0])
print('Test accuracy:', score[1])""",
    """\
#save model
model_json = model.to_json()
open('cifar10_architecture.json', 'w').write(model_json)
model.save_weights('cifar10_weights.h5', overwrite=True)""",
    """\
print(history.history.keys())
plt.plot(history.history['acc'])
plt.plot(history.history['val_acc'])
plt.title('model accuracy')
plt.show()""",
]
"""A deep network, RMSprop, the last fifth of the images to validate on."""

AUGMENTED = [
    """\
from __future__ import print_function
from keras.preprocessing.image import ImageDataGenerator
from keras.datasets import cifar10
from keras.models import Sequential
from keras.layers.core import Dense, Dropout, Flatten
from keras.layers.convolutional import Convolution2D
from keras.layers.pooling import MaxPooling2D
import keras
import numpy as np
NUM_TO_AUGMENT = 5
BATCH_SIZE = 32
EPOCHS = 50""",
    """\
(X_train, y_train), (X_test, y_test) = cifar10.load_data()
Y_train = keras.utils.np_utils.to_categorical(y_train, 10)
Y_test = keras.utils.np_utils.to_categorical(y_test, 10)
X_train = X_train.astype('float32') / 255
X_test = X_test.astype('float32') / 255
n = int(len(X_train) * 0.8)
X_val, Y_val = X_train[n:], Y_train[n:]
X_train, Y_train = X_train[:n], Y_train[:n]""",
    """\
# augumenting
print("Augmenting training set images...")
datagen = ImageDataGenerator(
    rotation_range=40,
    width_shift_range=0.2,
    height_shift_range=0.2,
    zoom_range=0.2,
    horizontal_flip=True,
    fill_mode='nearest')""",
    """\
xtas, ytas = [], []
for i in range(X_train.shape[0]):
    num_aug = 0
    x = X_train[i]
    x = x.reshape((1,) + x.shape)
    for x_aug in datagen.flow(x, batch_size=1, save_to_dir='preview', save_prefix='cifar',
                              save_format='jpeg'):
        if num_aug >= NUM_TO_AUGMENT:
            break
        xtas.append(x_aug[0])
        num_aug += 1""",
    """\
model = Sequential()
model.add(Convolution2D(32, 3, 3, border_mode='same', activation='relu', input_shape=(32, 32, 3)))
model.add(MaxPooling2D((2, 2)))
model.add(Dropout(0.25))
model.add(Convolution2D(64, 3, 3, border_mode='same', activation='relu'))
model.add(MaxPooling2D((2, 2)))
model.add(Dropout(0.25))
model.add(Flatten())
model.add(Dense(512, activation='relu'))
model.add(Dropout(0.5))
model.add(Dense(10, activation='softmax'))
model.compile(loss='categorical_crossentropy', optimizer=keras.optimizers.adam(lr=0.001), metrics=['acc'])""",
    """\
#fit the dataset
datagen.fit(X_train)
history = model.fit_generator(datagen.flow(X_train, Y_train, batch_size=BATCH_SIZE),
                              steps_per_epoch=X_train.shape[0] // BATCH_SIZE, epochs=EPOCHS,
                              validation_data=(X_val, Y_val), workers=4)
score = model.evaluate(X_test, Y_test, verbose=0)
print('Test accuracy:', score[1])
model.save_weights('augmented.h5')""",
]
"""A shallow network, Adam, random rotations, shifts, zooms and flips."""


def written(path: Path, cells: list[str], **facts: object) -> Path:
    """Write a notebook with these cells of code."""
    written = [
        {
            "cell_type": "code",
            "execution_count": None,
            "metadata": {},
            "outputs": [],
            "source": cell.splitlines(keepends=True),
        }
        for cell in cells
    ]
    content = {"cells": written, "metadata": {}, "nbformat": 4, "nbformat_minor": 2, **facts}
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def keras2_notebooks() -> dict[str, list[str]]:
    """The cells of the notebooks that this project began with, by their experiments."""
    return {"notebook_deep": DEEP, "notebook_augmented": AUGMENTED}


@pytest.fixture(scope="session")
def write_notebook() -> Callable[..., Path]:
    """Write a notebook with cells of code."""
    return written
