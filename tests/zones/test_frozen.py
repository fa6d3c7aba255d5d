"""A shelf is a dict that nobody can write to, whatever was put and dropped before; its bulk is shared, not copied."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.share import share
from zones import frozen
from zones.frozen import MID_MIN, OVER_MAX, Shelf, nothing, thawed

KEYS = st.integers(0, 40).map(str)


class ShelfBesideDict(RuleBasedStateMachine):
    """Every version of a shelf beside a plain dict that was copied whole each time."""

    @initialize(start=st.dictionaries(KEYS, st.integers()))
    def begins(self, start):
        self.versions = [(Shelf(start), dict(start))]

    @rule(puts=st.dictionaries(KEYS, st.integers(), max_size=6), drops=st.sets(KEYS, max_size=6), of=st.integers(0))
    def changes(self, puts, drops, of):
        shelf, model = self.versions[of % len(self.versions)]
        gone = frozenset(drops & model.keys() - puts.keys())
        after = {key: value for key, value in (model | puts).items() if key not in gone}
        self.versions.append((shelf.changed(puts, gone), after))

    @rule()
    def is_wrapped(self):
        shelf, model = self.versions[-1]
        self.versions.append((Shelf(shelf), model))

    @invariant()
    def every_version_is_still_its_dict(self):
        for shelf, model in self.versions[-5:]:
            assert shelf == model
            assert len(shelf) == len(model) == len(list(shelf))
            assert {key: shelf.get(key) for key in model} == model
            for key in map(str, range(41)):
                assert (key in shelf) is (key in model)
                assert shelf.get(key, "absent") == model.get(key, "absent")
                if key not in model:
                    with pytest.raises(KeyError):
                        shelf[key]


@pytest.mark.parametrize(("over", "mid"), [(OVER_MAX, MID_MIN), (3, 8), (0, 0)])
def test_a_shelf_holds_what_a_dict_would(monkeypatch, over, mid):
    """A row that was ended would still let somebody in, or one that is there would be overlooked."""
    monkeypatch.setattr(frozen, "OVER_MAX", over)
    monkeypatch.setattr(frozen, "MID_MIN", mid)
    ShelfBesideDict.TestCase.settings = settings(max_examples=share(15, many=300), stateful_step_count=30)
    ShelfBesideDict.TestCase("runTest").runTest()


def test_the_bulk_is_shared_and_not_copied():
    """A card that is reported lost would wait until a hundred thousand rows were copied."""
    before = Shelf({str(number): number for number in range(100_000)})
    after = before
    for number in range(12_000):
        after = after.changed({str(number): -number})
    assert after._base is before._base
    assert len(after._over) <= OVER_MAX
    assert before["7"] == 7
    assert after["7"] == -7


def test_changes_do_not_pile_up_for_ever():
    """After a year without a restart every decision would search through a year of changes."""
    shelf = Shelf({str(number): number for number in range(100)})
    for number in range(3 * MID_MIN):
        shelf = shelf.changed({str(number): number}, frozenset({str(number - 1)} if number else ()))
    assert len(shelf._over) <= OVER_MAX
    assert len(shelf._mid) <= MID_MIN
    assert shelf == {str(3 * MID_MIN - 1): 3 * MID_MIN - 1}


def test_what_is_put_again_keeps_its_place():
    """Lists on the page would jump about with every edit."""
    shelf = Shelf({"a": 1, "b": 2}).changed({"c": 3}).changed({"a": 4})
    assert list(shelf) == ["a", "b", "c"]
    assert list(shelf.items()) == [("a", 4), ("b", 2), ("c", 3)]


def test_nobody_can_write_to_it():
    """A policy in force would be changed by whoever reads it."""
    shelf = Shelf({"a": 1})
    with pytest.raises(TypeError):
        shelf["a"] = 2
    with pytest.raises(TypeError):
        nothing()["a"] = 2
    copy = thawed(nothing())
    copy["a"] = 2
    assert dict(nothing()) == {}
    started = {"a": 1}
    kept = Shelf(started)
    started["a"] = 2
    assert kept["a"] == 1
