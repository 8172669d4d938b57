"""Pictures of flows on a plane: a mark for each flow, and its kind and class in it."""

from flowlore.pages.class_places import class_places


def test_every_flow_has_its_mark() -> None:
    svg = class_places([[0, 0], [1000, 500], [10, 20]], [0, 1, 9], [0, 1, 2], "a & b")
    assert svg.count("<circle") == 3 and 'aria-label="a &amp; b"' in svg
    assert svg.count("fill:none;stroke:var(--s1)") == 1
    assert "fill:var(--s1);opacity" in svg, "colours begin again after the eighth"


def test_nothing_is_told() -> None:
    assert "nothing to show" in class_places([], [], [], "none")
