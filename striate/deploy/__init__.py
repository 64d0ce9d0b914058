"""Trained networks put to use: predictions for new images, files for other programs."""

from striate.deploy.classifier import Classifier, Prediction, open  # noqa: A004

__all__ = ["Classifier", "Prediction", "open"]
