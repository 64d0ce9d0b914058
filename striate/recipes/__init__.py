"""How to train, as data: optimizer, schedule, stopping, augmentation, precision; and the named recipes."""

from striate.data.augment import AugmentConfig
from striate.recipes.recipe import OptimizerConfig, Recipe, View, balanced_weights, ema_decay, views
from striate.recipes.schedule import ScheduleConfig, lr_factor, plateau_factor
from striate.recipes.stop import StopConfig, stop_reason
from striate.recipes.zoo import RECIPES

__all__ = [
    "RECIPES",
    "AugmentConfig",
    "OptimizerConfig",
    "Recipe",
    "ScheduleConfig",
    "StopConfig",
    "View",
    "balanced_weights",
    "ema_decay",
    "lr_factor",
    "plateau_factor",
    "stop_reason",
    "views",
]
