"""Puts every image on a side of the split: what belongs together stays together, and what has a side keeps it."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from contracts.classes import in_one_form
from dataset.near import Pair, near_pairs
from dataset.read import Read
from dataset.sides import Sides
from dataset.split import SPLITS, Split, side_of

# So many pictures that hang together by nearness, and this share of all, are no copies: a camera that never moves makes
# such. Then the hash tells nothing.
_MOST_COPIES, _MOST_SHARE = 20, 0.05


@dataclass(frozen=True)
class Assigned:
    """Of images in the order they were given."""

    sides: list[str]
    # Of each image the number of its group; one that has none is alone in its own.
    groups: list[int]
    # Places of images that are near to others on two sides, and therefore on none.
    out: list[int] = field(default_factory=list)
    # Places of two images each that are near to each other.
    near: list[Pair] = field(default_factory=list)
    # How many images are so much alike that nearness tells nothing of them.
    alike: int = 0


class _Sets:
    """Numbers that are joined, pair by pair, into sets."""

    def __init__(self, count: int) -> None:
        self._above = list(range(count))

    def of(self, one: int) -> int:
        while self._above[one] != one:
            self._above[one] = self._above[self._above[one]]
            one = self._above[one]
        return one

    def join(self, one: int, other: int) -> None:
        low, high = sorted((self.of(one), self.of(other)))
        self._above[high] = low


def assign(
    images: Sequence[Read],
    groups: Sequence[str],
    rules: Sequence[Split],
    known: Sides,
    copies: Iterable[tuple[int, str]] = (),
) -> Assigned:
    """Sides of `images`, of which no two show the very same picture. `groups` has their groups' ids, "" for none;
    `copies` tells of images, by their places, that a further group holds a copy of.

    An image whose side is `known` keeps it, and so does its group. New ones that are near to such go where those are;
    new ones that are near to each other go together, by the hash of one of them. What is then still near to something
    on another side, the later of the two, belongs to none.
    """
    absent = known.absent(one.sha256 for one in images)
    near = near_pairs([one.facts.prints for one in images], absent.prints())
    alike = sum(bool(one.facts.prints) for one in images) if near is None else 0
    near, more = _without_crowds(near or [], len(images), len(absent.rows))
    units = _Units(images, groups, rules, known)
    for one, group in copies:
        units.link(one, group)
    units.settle([pair for pair in near if pair[1] < len(images)], _to_absent(near, absent, len(images)))
    sides = [units.side(one) for one in range(len(images))]
    out: set[int] = set()
    for i, j in near:
        if j >= len(images):
            if sides[i] != SPLITS[absent.rows["side"][j - len(images)]] and known.of(images[i].sha256) is None:
                out.add(i)
        elif sides[i] != sides[j]:
            # The later one; of two that came together the one that was less trained on.
            out.add(max((i, j), key=lambda one: (known.of(images[one].sha256) is None, SPLITS.index(sides[one]))))
    inside = [pair for pair in near if pair[1] < len(images)]
    return Assigned(sides, units.numbers, sorted(out), inside, alike + more)


def _without_crowds(near: list[Pair], images: int, others: int) -> tuple[list[Pair], int]:
    """Pairs of copies, and how many images are in sets too large to be copies of one picture."""
    sets = _Sets(images + others)
    for i, j in near:
        sets.join(i, j)
    size: dict[int, int] = {}
    for one in {place for pair in near for place in pair}:
        size[sets.of(one)] = size.get(sets.of(one), 0) + 1
    most = max(_MOST_COPIES, _MOST_SHARE * images)
    crowds = {one for one, count in size.items() if count > most}
    kept = [pair for pair in near if sets.of(pair[0]) not in crowds]
    return kept, sum(size[one] for one in crowds)


def _to_absent(near: Sequence[Pair], absent: Sides, images: int) -> list[tuple[int, str]]:
    return [(i, SPLITS[absent.rows["side"][j - images]]) for i, j in near if j >= images]


class _Units:
    """Groups, and images that have none: each is on one side as a whole."""

    def __init__(self, images: Sequence[Read], groups: Sequence[str], rules: Sequence[Split], known: Sides) -> None:
        self._images, self._rules, self._known = images, rules, known
        # Of one patient's two folders a Mac may have written one.
        groups = [in_one_form(group) for group in groups]
        numbers: dict[str, int] = {}
        self._group_numbers = numbers
        # In an order that no one's id has a say in.
        self.numbers = [numbers.setdefault(group or f"\0{place}", len(numbers)) for place, group in enumerate(groups)]
        self._members: list[list[int]] = [[] for _ in numbers]
        for place, number in enumerate(self.numbers):
            self._members[number].append(place)
        self._keys = [self._key(groups[members[0]], members) for members in self._members]
        self._sides = [self._known_side(members) for members in self._members]
        self._fixed = [side is not None for side in self._sides]
        self._links: list[Pair] = []

    def link(self, image: int, group: str) -> None:
        group = in_one_form(group)
        if group in self._group_numbers:
            self._links.append((self.numbers[image], self._group_numbers[group]))

    def side(self, image: int) -> str:
        side = self._sides[self.numbers[image]]
        assert side is not None  # after `settle`
        return side

    def settle(self, near: Sequence[Pair], elsewhere: Sequence[tuple[int, str]]) -> None:
        """Gives all units a side. `near` are pairs of images, `elsewhere` images with the sides of what they are near
        to and that is no longer there."""
        pairs = [(self.numbers[i], self.numbers[j]) for i, j in near] + self._links
        sets = _Sets(len(self._members))
        for one, other in pairs:
            if not self._fixed[one] and not self._fixed[other]:
                sets.join(one, other)
        drawn: dict[int, set[str]] = {}
        for one, other in (*pairs, *((other, one) for one, other in pairs)):
            if not self._fixed[one] and self._fixed[other]:
                drawn.setdefault(sets.of(one), set()).add(str(self._sides[other]))
        for image, side in elsewhere:
            if not self._fixed[self.numbers[image]]:
                drawn.setdefault(sets.of(self.numbers[image]), set()).add(side)
        together: dict[int, list[int]] = {}
        for unit, fixed in enumerate(self._fixed):
            if not fixed:
                together.setdefault(sets.of(unit), []).append(unit)
        for first, several in together.items():
            side = _most_trained(drawn[first]) if first in drawn else self._own_side(several)
            for unit in several:
                self._sides[unit] = side

    def _key(self, group: str, members: Sequence[int]) -> str:
        """What a unit's side is told by: a digest in hexadecimal."""
        if not group:
            return self._images[members[0]].sha256
        return hashlib.sha256(f"group\0{group}".encode(errors="surrogateescape")).hexdigest()

    def _known_side(self, members: Sequence[int]) -> str | None:
        digests = [self._images[place].sha256 for place in members]
        sides = {side for digest in digests if (side := self._known.of(digest))}
        if not sides:
            return None
        if not self._known.complete:
            sides |= {side_of(digest, self._rules) for digest in digests}
        return _most_trained(sides)

    def _own_side(self, units: Sequence[int]) -> str:
        own = [rule for rule in self._rules if rule.groups == self._rules[0].groups]
        # By other digits of the digests than a side is told by, so that no side is likelier for several than for one.
        key = min((self._keys[unit] for unit in units), key=lambda key: key[::-1])
        sides = {side_of(key, own)}
        if not self._known.complete:
            # An ancestor may have trained on any of them, each by itself.
            members = (place for unit in units for place in self._members[unit])
            sides |= {side_of(self._images[place].sha256, self._rules) for place in members}
        return _most_trained(sides)


def _most_trained(sides: Iterable[str]) -> str:
    return min(sides, key=SPLITS.index)
