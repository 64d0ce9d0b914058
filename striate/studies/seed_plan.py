"""The `seeds` of a study file: a number, a list, or `{looks: [3, 5, 8]}`, the numbers of seeds after which results are looked at."""

import itertools
from typing import Any

from striate.verdicts.looks import FEWEST_SEEDS

MOST_SEEDS = 1000
MOST_LOOKS = 20
LARGEST_SEED = 2**32 - 1


def seeds_of(value: Any) -> Any:
    """The seeds that a number, a list or planned looks mean.

    Raises:
        ValueError: for anything else.
    """
    if isinstance(value, dict):
        value = _last_look(value)
    if isinstance(value, bool) or not isinstance(value, int | list | tuple) or value == []:
        raise ValueError(f"must be a number of seeds, a list of them, or {{looks: [3, 5, 8]}}, got {value!r}")
    count = value if isinstance(value, int) else len(value)
    if count < 1:
        raise ValueError(f"must be at least 1, got {count}")
    if count > MOST_SEEDS:
        hint = f"; write [{value}] for one seed" if isinstance(value, int) else ""
        raise ValueError(f"must be at most {MOST_SEEDS:,} seeds, got {count:,}{hint}")
    return tuple(range(value)) if isinstance(value, int) else value


def _last_look(value: dict[str, Any]) -> int:
    """How many seeds `{looks: ...}` needs in all."""
    if value.keys() != {"looks"}:
        raise ValueError(f"has one key, looks: [3, 5, 8], got {', '.join(map(str, value)) or 'none'}")
    check_looks(value["looks"])
    return int(value["looks"][-1])


def check_looks(looks: Any) -> None:
    """Refuse what is no list of growing numbers of seeds, each enough for a verdict.

    Raises:
        ValueError: with the rule.
    """
    is_list = isinstance(looks, list | tuple) and len(looks) > 0
    if not is_list or not all(isinstance(n, int) and not isinstance(n, bool) for n in looks):
        raise ValueError(f"looks must be numbers of seeds, [3, 5, 8], got {looks!r}")
    if looks[0] < FEWEST_SEEDS:
        raise ValueError(
            f"looks must start with {FEWEST_SEEDS} seeds or more, the fewest that give a verdict, got {looks[0]}"
        )
    if any(later <= earlier for earlier, later in itertools.pairwise(looks)):
        raise ValueError(f"looks must grow from each to the next, got {list(looks)}")
    if len(looks) > MOST_LOOKS:
        raise ValueError(f"looks must be at most {MOST_LOOKS}, got {len(looks)}")


def with_looks(value: Any) -> Any:
    """The content of a study file with the looks of its `seeds` as a key of their own."""
    if isinstance(value, dict) and isinstance(value.get("seeds"), dict):
        return {**value, "looks": value["seeds"].get("looks", ())}
    return value


def check_seeds(seeds: tuple[int, ...]) -> tuple[int, ...]:
    if len(set(seeds)) < len(seeds) or min(seeds) < 0:
        raise ValueError(f"must be different numbers from 0 up, got {list(seeds)}")
    if max(seeds) > LARGEST_SEED:
        raise ValueError(f"a seed is at most {LARGEST_SEED} (32 bits), got {max(seeds)}")
    return seeds
