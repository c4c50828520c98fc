"""The pictures of a report: what is around a defect, with the border of its mask."""

from __future__ import annotations

import base64
from collections.abc import Sequence

import cv2
import numpy as np

from stripwatch.inspect.grading.record import Flaw, StripRecord
from stripwatch.journal.pictures import Picture
from stripwatch.view.overlay import class_colour
from stripwatch.view.report.markup import text
from stripwatch.wire.verdict import Verdict

SHOWN_MAX = 16
SIDE_PX_MAX = 400  # larger pictures are made smaller


def worst_defects(record: StripRecord, verdict: Verdict | None) -> list[Flaw]:
    """Those beyond a limit first, by the grade that they cost; then the largest."""
    rank: dict[int, int] = {}
    for rule in verdict.rules if verdict else ():
        if verdict and rule.exceeded:
            for place in rule.places:
                if place.seq is not None:
                    worst = verdict.grades.index(rule.grade)
                    rank[place.seq] = max(rank.get(place.seq, 0), worst)
    order = sorted(record.defects, key=lambda flaw: (-rank.get(flaw.seq, 0), -flaw.area_mm2))
    return order[:SHOWN_MAX]


def draw_defect(pictures: Sequence[Picture], class_id: int) -> bytes | None:
    """The crop with the border of the mask in the colour of the class, as PNG.

    None where there is no crop, or where it is no picture: a report is made all the same.
    """
    crop, mask = (_pixels(pictures, kind) for kind in ("crop", "mask"))
    if crop is None:
        return None
    image = cv2.cvtColor(crop, cv2.COLOR_GRAY2BGR)
    if mask is not None and mask.shape == crop.shape:
        borders, _ = cv2.findContours(
            (mask > 0).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
        )
        cv2.drawContours(image, borders, -1, class_colour(class_id)[::-1], 1)
    scale = SIDE_PX_MAX / max(image.shape[:2])
    if scale < 1:
        image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return cv2.imencode(".png", image)[1].tobytes()


def figure(flaw: Flaw, png: bytes | None) -> str:
    """A picture with what is known of the defect."""
    if png is None:
        shown = '<div class="none"><br>no picture kept</div>'
    else:
        data = base64.b64encode(png).decode()
        shown = f'<img alt="{text(flaw.class_name)}" src="data:image/png;base64,{data}">'
    return f"<figure>{shown}<figcaption>{_caption(flaw)}</figcaption></figure>\n"


def _caption(flaw: Flaw) -> str:
    along = "place unknown" if flaw.along_mm is None else f"{flaw.along_mm[0] / 1000:.3f} m"
    mark = ", roll mark" if flaw.is_periodic else ""
    first, last = flaw.across_mm
    rows = (
        f"{flaw.class_name}, {flaw.side}{mark}",
        f"{along}, {first:.0f} - {last:.0f} mm across",
        f"{flaw.width_mm:.1f} x {flaw.length_mm:.1f} mm, score {flaw.score:.2f}, event {flaw.seq}",
    )
    return "<br>".join(map(text, rows))


def _pixels(pictures: Sequence[Picture], kind: str) -> cv2.typing.MatLike | None:
    for picture in pictures:
        if picture.kind == kind:
            return cv2.imdecode(np.frombuffer(picture.image, np.uint8), cv2.IMREAD_GRAYSCALE)
    return None
