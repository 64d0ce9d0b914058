"""How to train, as data: optimizer, schedule, stopping, augmentation, precision; and the named recipes."""

from striate.recipes.recipe import AugmentConfig, OptimizerConfig, Recipe
from striate.recipes.schedule import ScheduleConfig, factor, plateau
from striate.recipes.stop import StopConfig, reason_to_stop
from striate.recipes.zoo import RECIPES

__all__ = [
    "RECIPES",
    "AugmentConfig",
    "OptimizerConfig",
    "Recipe",
    "ScheduleConfig",
    "StopConfig",
    "factor",
    "plateau",
    "reason_to_stop",
]
