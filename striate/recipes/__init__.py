"""How to train, as data: optimizer, schedule, augmentation, precision."""

from striate.recipes.augment import AugmentConfig
from striate.recipes.recipe import OptimizerConfig, Recipe, ScheduleConfig
from striate.recipes.schedules import factor

__all__ = ["AugmentConfig", "OptimizerConfig", "Recipe", "ScheduleConfig", "factor"]
