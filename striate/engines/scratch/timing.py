"""How fast the engine by hand trains here: a few real steps, timed, nothing kept."""

import time

import numpy as np

from striate.data import Dataset
from striate.engines.scratch.learner import Learner
from striate.nets import NetworkConfig
from striate.recipes import Recipe

WARM_UP = 1
MOST = 20


def images_per_second(network: NetworkConfig, recipe: Recipe, dataset: Dataset, threads: int, seconds: float) -> float:
    """Training images a second, from steps timed within about `seconds` on the first images of `dataset`; one step at least."""
    size = min(recipe.batch_size, len(dataset.train))
    images = (dataset.train.images[:size].astype(np.float32) - 127.5) / 64
    shape = (dataset.channels, dataset.height, dataset.width)
    classes = len(dataset.classes)
    learner = Learner(network, shape, classes, 0, recipe.optimizer, engine=recipe.engine, threads=threads)
    taken: list[float] = []
    while not taken or (sum(taken) < seconds and len(taken) < MOST):
        started = time.perf_counter()
        learner.train_step(images, dataset.train.labels[:size], recipe.optimizer.lr)
        taken.append(time.perf_counter() - started)
    return size / float(np.median(taken[WARM_UP:] or taken))
