"""Which groups are held out: whole ones, at random, with a share of every class that is as near to its quota as they allow.

The distance to the quotas is the sum over the classes of ((held out - quota) / images)^2. In random order, again and again,
a group changes sides if that lessens the distance, until no single one does. A class keeps at least one group on each side.

For shares up to one half, where each group has images of one class only, a class differs from its quota by at most half of
its largest group; or one group is held out, its smallest, which is twice the quota or more. Exchanges of two groups would come
nearer, but then most seeds of a small dataset would hold out the same groups.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from striate.data.dataset import Labels

MOST_ORDERS = 100  # tried, before the images are said not to be divisible
LEAST_GAIN = 1e-12  # of the distance, above the rounding of its terms


def groups_of_classes(labels: Labels, groups: Labels, classes: int) -> Labels:
    """How many groups each class is in."""
    pairs = np.unique(np.stack([labels, groups]), axis=1)
    return np.bincount(pairs[0], minlength=classes)


def draw_groups(
    labels: Labels, groups: Labels, quotas: Labels, rng: np.random.Generator, left: int = 1
) -> Labels | None:
    """Sorted rows: whole groups, about `quotas[c]` images of class c; None if no order tried has every class on both sides.

    `groups` are numbered by their first row. `left`: how many groups of each class are not held out, at least.
    """
    for attempt in range(MOST_ORDERS):
        sides = _Sides.of(labels, groups, quotas, left)
        if sides.draw(rng.permutation(len(sides.members)).tolist(), by_distance=attempt == 0):
            return np.flatnonzero(np.array(sides.is_out)[groups])
    return None


@dataclass
class _Sides:
    """Which groups are held out, and what that makes of each class."""

    members: list[list[tuple[int, int]]]  # of each group, its classes with the images that it has of them
    sizes: list[int]  # images of each class
    excess: list[int]  # images of each class held out, less its quota
    groups_in: list[int]  # of each class, that are not held out
    groups_out: list[int]
    is_out: list[bool]  # by group
    left: int

    @classmethod
    def of(cls, labels: Labels, groups: Labels, quotas: Labels, left: int) -> Self:
        classes = len(quotas)
        keys, counts = np.unique(groups * classes + labels, return_counts=True)
        members: list[list[tuple[int, int]]] = [[] for _ in range(int(groups.max()) + 1)]
        for key, count in zip(keys.tolist(), counts.tolist(), strict=True):
            members[key // classes].append((key % classes, count))
        sizes = np.bincount(labels, minlength=classes).tolist()
        groups_in = np.bincount(keys % classes, minlength=classes).tolist()
        return cls(members, sizes, (-quotas).tolist(), groups_in, [0] * classes, [False] * len(members), left)

    def draw(self, order: list[int], by_distance: bool) -> bool:
        """Hold groups out; False if a class has none that may be. `by_distance`: a class without one gets the nearest."""
        if by_distance:
            self._approach(order)
        for label, groups in enumerate(self._by_class(order)):
            if not self.groups_out[label]:
                allowed = [group for group in groups if self._may_change(group)]
                if not allowed:
                    return False
                self._change(min(allowed, key=self._change_of_distance) if by_distance else allowed[0])
        self._approach(order)
        return True

    def _by_class(self, order: list[int]) -> list[list[int]]:
        groups: list[list[int]] = [[] for _ in self.sizes]
        for group in order:
            for label, _ in self.members[group]:
                groups[label].append(group)
        return groups

    def _approach(self, order: list[int]) -> None:
        has_changed = True
        while has_changed:
            has_changed = False
            for group in order:
                if self._change_of_distance(group) < -LEAST_GAIN and self._may_change(group):
                    self._change(group)
                    has_changed = True

    def _may_change(self, group: int) -> bool:
        if self.is_out[group]:
            return all(self.groups_out[label] > 1 for label, _ in self.members[group])
        return all(self.groups_in[label] > self.left for label, _ in self.members[group])

    def _change_of_distance(self, group: int) -> float:
        sign = -1 if self.is_out[group] else 1
        excess, sizes = self.excess, self.sizes
        return sum(n * (2 * sign * excess[label] + n) / sizes[label] ** 2 for label, n in self.members[group])

    def _change(self, group: int) -> None:
        sign = -1 if self.is_out[group] else 1
        self.is_out[group] = not self.is_out[group]
        for label, count in self.members[group]:
            self.excess[label] += sign * count
            self.groups_out[label] += sign
            self.groups_in[label] -= sign
