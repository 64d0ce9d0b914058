"""How fast a network trains here: a few real steps, timed, nothing kept."""

import time

import numpy as np

from striate.data import Dataset
from striate.data.augment import draw
from striate.engines.pytorch.device import Setup, own_random_numbers, prepare
from striate.engines.pytorch.device_dataset import DeviceDataset
from striate.engines.pytorch.engine import begin
from striate.engines.pytorch.step import step
from striate.nets import NetworkConfig
from striate.recipes import Recipe

WARM_UP = 2
MOST = 20


def images_per_second(network: NetworkConfig, recipe: Recipe, dataset: Dataset, setup: Setup, seconds: float) -> float:
    """Training images a second, from steps timed within about `seconds` on the first images of `dataset`; one step at least."""
    prepare(setup)
    size = min(recipe.batch_size, len(dataset.train))
    images, labels = dataset.train.images[:size], dataset.train.labels[:size]
    channels = dataset.channels
    feed = DeviceDataset(images, labels, np.full(channels, 0.5), np.full(channels, 0.25), setup)
    learner = begin(network, recipe, dataset, 0, setup)
    learner.module.train()
    order = np.arange(size)
    draws = draw(0, 0, order, feed.shape, recipe.augment)
    taken: list[float] = []
    with own_random_numbers(setup.device.type):
        while not taken or (sum(taken) < seconds and len(taken) < MOST):
            started = time.perf_counter()
            float(step(learner, feed, recipe, recipe.optimizer.lr, feed.batch(order, draws))[0])
            taken.append(time.perf_counter() - started)
    return size / float(np.median(taken[WARM_UP:] or taken))
