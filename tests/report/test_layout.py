"""The chain's drawing: no line runs through a box, no box or label covers another."""

import re
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests_laws import law

from mashbill.report import layout
from mashbill.report.chain_drawing import draw_chain
from mashbill.report.folding import FOLDED_FROM, folded
from mashbill.report.gather import Box
from mashbill.report.layout import LABEL_HEIGHT, LayoutError, Line, lay_out

NEAR = 1.0  # pixels that a line may touch the border of a box by
STEPS = 20  # points that are looked at on each piece of a curve


@st.composite
def graphs(draw, most=24):
    """Sizes of boxes, and lines between them that make no circle."""
    count = draw(st.integers(1, most))
    sizes = draw(
        st.lists(st.tuples(st.sampled_from([90, 172, 260]), st.sampled_from([40, 48, 80])),
                 min_size=count, max_size=count)
    )  # fmt: skip
    pairs = st.tuples(st.integers(0, count - 1), st.integers(0, count - 1))
    found = draw(st.sets(pairs, max_size=2 * count))
    labels = st.sampled_from([0.0, 0.0, 40.0, 74.0, 150.0])
    lines = [Line(*sorted(pair), draw(labels)) for pair in sorted(found) if pair[0] != pair[1]]
    return sizes, list({(one.start, one.end): one for one in lines}.values())


def curve_points(one):
    for at in range(0, len(one.curve) - 1, 3):
        piece = one.curve[at : at + 4]
        for step in range(STEPS + 1):
            t = step / STEPS
            weights = ((1 - t) ** 3, 3 * (1 - t) ** 2 * t, 3 * (1 - t) * t * t, t**3)
            yield tuple(sum(w * p[k] for w, p in zip(weights, piece, strict=True)) for k in (0, 1))
    yield one.tip


def is_over(one, other, by=0.0):
    wide = min(one[2], other[2]) - max(one[0], other[0])
    tall = min(one[3], other[3]) - max(one[1], other[1])
    return wide > by and tall > by


def held(sizes, lines, found):
    """Hold a layout to all that a reader wants of it."""
    boxes = [(x, y, x + w, y + h) for (x, y), (w, h) in zip(found.boxes, sizes, strict=True)]
    assert len(found.lines) == len(lines)
    assert not any(is_over(a, b, 0.01) for i, a in enumerate(boxes) for b in boxes[:i])
    for box in boxes:
        assert min(box) >= -NEAR
        assert box[2] <= found.width + NEAR
        assert box[3] <= found.height + NEAR
    labels = []
    for line, one in zip(lines, found.lines, strict=True):
        points = list(curve_points(one))
        for number, (x1, y1, x2, y2) in enumerate(boxes):
            if number not in (line.start, line.end):
                inside = [
                    (x, y) for x, y in points
                    if x1 + NEAR < x < x2 - NEAR and y1 + NEAR < y < y2 - NEAR
                ]  # fmt: skip
                assert not inside, (line, number)
        # It leaves the one box, and comes to the other.
        for number, (x, y) in ((line.start, points[0]), (line.end, points[-1])):
            x1, y1, x2, y2 = boxes[number]
            assert x1 - 2 <= x <= x2 + 2
            assert y1 - 2 <= y <= y2 + 2
        assert (one.label is not None) == bool(line.label)
        if one.label is not None:
            (x, y), wide, tall = one.label, line.label / 2, LABEL_HEIGHT / 2
            labels.append((x - wide, y - tall, x + wide, y + tall))
    for number, label in enumerate(labels):
        assert not any(is_over(label, box, NEAR) for box in boxes)
        assert not any(is_over(label, other, NEAR) for other in labels[:number])


@law(60)
@given(graphs(), st.sampled_from(["down", "across"]))
@example(([(172, 48)] * 6, [Line(0, n, 74.0) for n in range(1, 6)]), "across")
@example(([(172, 48)] * 5, [Line(a, b, 74.0) for a in range(5) for b in range(a + 1, 5)]), "down")
def test_lines_run_around_boxes_and_nothing_covers_anything(graph, way):
    sizes, lines = graph
    held(sizes, lines, lay_out(sizes, lines, way))


def test_this_law_sees_a_line_through_a_box():
    sizes, lines = [(172, 48)] * 3, [Line(0, 1), Line(1, 2), Line(0, 2)]
    found = lay_out(sizes, lines)
    straight = ((found.boxes[0][0] + 86, 48), *[(found.boxes[1][0] + 86, 100)] * 3)
    bad = layout.Drawn((*straight, *[found.lines[2].tip] * 3), found.lines[2].tip, None)
    bad_layout = layout.Layout(
        found.width, found.height, found.boxes, (*found.lines[:2], bad)
    )  # fmt: skip
    with pytest.raises(AssertionError):
        held(sizes, lines, bad_layout)


def test_each_rank_stands_after_all_that_leads_to_it():
    sizes, lines = [(172, 48)] * 4, [Line(0, 1), Line(0, 2), Line(1, 3), Line(2, 3)]
    down, across = (lay_out(sizes, lines, way) for way in ("down", "across"))
    for line in lines:
        assert down.boxes[line.start][1] + 48 < down.boxes[line.end][1]
        assert across.boxes[line.start][0] + 172 < across.boxes[line.end][0]


def test_the_same_graph_is_laid_out_alike_each_time():
    sizes, lines = [(172, 48)] * 9, [Line(n // 2, n, 40.0) for n in range(1, 9)]
    assert lay_out(sizes, lines) == lay_out(sizes, lines)


def test_a_failure_of_the_engine_is_told_and_the_next_drawing_is_fine():
    with pytest.raises(LayoutError, match=r"could not lay out 1 boxes and 1 lines \(.+\)"):
        lay_out([(172, 48)], [Line(0, 7)])
    assert len(lay_out([(172, 48)], []).boxes) == 1


# -- folding -----------------------------------------------------------------------------------


def box(name, inputs=(), what="dataset", kind="filter"):
    return Box(name, what, "3 rows", tuple(inputs), kind)


@st.composite
def chains(draw):
    """Boxes of a chain, the result last, each led to by earlier ones; all lead to the result."""
    count = draw(st.integers(1, 60))
    boxes = []
    for at in range(count):
        earlier = draw(st.sets(st.integers(0, at - 1), max_size=3)) if at else set()
        how = st.sampled_from(["content", "judgement", "selection", "content/cleaning"])
        inputs = [(f"b{one}", draw(how)) for one in sorted(earlier)]
        boxes.append(box(f"b{at}", inputs, kind=draw(st.sampled_from(["filter", "label"]))))
    led = {other for one in boxes for other, _ in one.inputs}
    loose = [(one.name, "content") for one in boxes if one.name not in led]
    return [*boxes, box("result", loose, "model", "pretrain")]


@law(80)
@given(chains())
def test_each_box_has_one_place_and_no_line_is_lost_or_goes_in_a_circle(boxes):
    places = folded(boxes)
    assert sorted(m.name for p in places for m in p.members) == sorted(b.name for b in boxes)
    at = {m.name: number for number, p in enumerate(places) for m in p.members}
    lines = {(other, number) for number, p in enumerate(places) for other, _ in p.inputs}
    wanted = {(at[other], at[b.name]) for b in boxes for other, _ in b.inputs}
    assert lines == {(a, b) for a, b in wanted if a != b}
    assert len(places) <= len(boxes)
    if len(boxes) < FOLDED_FROM:
        assert not any(place.is_folded for place in places)
    left, free = set(lines), set(range(len(places)))
    while free:
        first = {n for n in free if not any(b == n and a in free for a, b in left)}
        assert first, "a circle"
        free -= first


def of_arms(seeds=6):
    boxes = [box("lines", kind="corpus"), box("judge", what="teacher", kind="teacher")]
    for arm in ("few", "all", "better"):
        for seed in range(seeds):
            name = f"{arm}.s{seed}"
            boxes += [
                box(
                    f"labelled.{name}", [("lines", "content"), ("judge", "judgement")], kind="label"
                ),
                box(f"student.{name}", [(f"labelled.{name}", "content")], "model", "classifier"),
                box(f"heldout.{name}", [(f"student.{name}", "judgement")], kind="apply"),
            ]
    heldout = [(one.name, "judgement") for one in boxes if one.name.startswith("heldout")]
    return [*boxes, box("evaluation", heldout, kind="evaluate")]


def test_arms_and_seeds_of_a_stage_stand_in_one_box_that_opens():
    picture = draw_chain(of_arms())
    assert [place.name for place in picture.places] == [
        "lines", "judge", "labelled (18)", "student (18)", "heldout (18)", "evaluation",
    ]  # fmt: skip
    for anchor, place in picture.groups:
        assert f'href="#{anchor}"' in picture.svg
        assert len(place.members) == 18
    assert len(picture.groups) == 3
    assert len(draw_chain(of_arms(seeds=1)).groups) == 0


def test_corpora_that_are_read_into_one_are_folded_with_the_steps_that_each_goes_through():
    boxes = []
    for number in range(12):
        boxes.append(box(f"corpus{number}", kind="corpus"))
        boxes.append(box(f"clean{number}", [(f"corpus{number}", "content")]))
    boxes.append(box("pool", [(f"clean{number}", "content") for number in range(12)], kind="mix"))
    assert [place.name for place in folded(boxes)] == ["corpus (12)", "filter (12)", "pool"]


def test_two_hundred_stages_that_are_all_different_are_drawn_in_seconds():
    boxes = []
    for at in range(200):
        inputs = [(f"b{one}", "judgement") for one in {at - 1, at - 3 - at % 5} if one >= 0]
        boxes.append(box(f"b{at}", inputs, kind=f"kind {at}"))
    began = time.process_time()
    picture = draw_chain(boxes)
    assert time.process_time() - began < 20
    assert picture.failed == ""
    assert picture.svg.count("<g class=") == 200 - sum(
        len(place.members) - 1 for place in picture.places
    )


def test_more_than_can_be_drawn_is_told_and_stands_in_the_table():
    boxes = [box(f"b{at}", [(f"b{one}", "content") for one in range(max(0, at - 9), at)],
                 kind=f"kind {at}") for at in range(120)]  # fmt: skip
    picture = draw_chain(boxes)
    assert picture.svg == ""
    assert "could not lay out" in picture.failed
    assert "the table has all of them" in picture.failed
    assert len(picture.boxes) == 120


def test_a_hostile_name_is_text():
    name = '<script>"\u202e' + "x" * 300
    picture = draw_chain([box(name), box("b", [(name, '"><b>')])])
    for svg in (picture.svg, picture.narrow):
        assert "<script" not in svg
        assert "<b>" not in svg
        assert "\u202e" not in svg
    assert re.search(r'class="&#34;&gt;&lt;b&gt;"', picture.svg)
