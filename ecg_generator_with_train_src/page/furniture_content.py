"""Made-up patients, dates, devices and findings, and where a page shows them."""

import numpy as np

from ecg_generator_with_train_src.page.furniture import LINE_SPACING_MM, Furniture, LeadNames, QrLabel, Text
from ecg_generator_with_train_src.page.geometry import PageGeometry
from ecg_generator_with_train_src.page.layouts import PageSetup

FIRST_NAMES = ("Maria", "John", "Anna", "Wei", "Olga", "Ahmed", "Lena", "Paul", "Ines", "Ravi")
LAST_NAMES = ("Keller", "Novak", "Silva", "Zhang", "Brown", "Haddad", "Moreau", "Olsen", "Rossi", "Kim")
DEVICES = ("Cardiette 312", "PageScribe 1200", "RX-12 V4.07", "ElektroMed 6", "CardioWriter 3000")
FINDINGS = (
    *("Sinus rhythm", "Normal ECG", "Left axis deviation", "Atrial fibrillation", "Unconfirmed report"),
    *("Nonspecific T abnormality", "Borderline ECG", "First degree AV block", "Poor R wave progression"),
)
FONTS = (
    "DejaVuSans",
    "DejaVuSans-Bold",
    "DejaVuSansMono",
    "DejaVuSerif",
    "STIXGeneral",
    "STIXGeneralBol",
)
MARGIN_MM = 1.27
COLUMN_MM = 75.0
FIRST_LINE_MM = 5.84


def default_furniture(
    record_id: str, setup: PageSetup, geometry: PageGeometry, rng: np.random.Generator
) -> Furniture:
    """The competition's page: three columns of text above, speed and gain below, lead names and separators."""
    patient = _patient(rng)
    columns = (
        (f"ID: {record_id}", f"Age: {patient['age']} yrs", f"Sex: {patient['sex']}"),
        (f"Name: {patient['name']}", f"Height: {patient['height']} cm"),
        (f"Date: {patient['date']}", f"Weight: {patient['weight']} kg"),
    )
    header = [
        Text(text=text, x_mm=MARGIN_MM + column * COLUMN_MM, y_mm=FIRST_LINE_MM + row * LINE_SPACING_MM)
        for column, lines in enumerate(columns)
        for row, text in enumerate(lines)
    ]
    below_mm = geometry.mm_of_y_px(geometry.height_px) - 5.0
    scales = (f"{setup.paper_speed_mm_s:g}mm/s", f"{setup.gain_mm_mv:g}mm/mV")
    footer = [Text(text=text, x_mm=50.0 * (1 + index), y_mm=below_mm) for index, text in enumerate(scales)]
    return Furniture(texts=(*header, *footer))


def varied_furniture(
    record_id: str, setup: PageSetup, geometry: PageGeometry, rng: np.random.Generator
) -> Furniture:
    """Any clinic's page: text blocks, fonts, sizes and places vary; lead names above or below; sometimes a QR label."""
    font, points = str(rng.choice(FONTS)), round(float(rng.uniform(7.5, 12)), 2)
    name_above = rng.random() < 0.6
    return Furniture(
        texts=(
            *_blocks(record_id, geometry, rng, font, points),
            *_scales(setup, geometry, rng, font, points),
        ),
        text_rgb=(int(rng.integers(0, 60)),) * 3,
        lead_names=LeadNames(
            right_mm=round(float(rng.uniform(0, 3)), 2),
            below_mm=round(float(rng.uniform(-11, -6) if name_above else rng.uniform(4, 9)), 2),
            points=round(float(rng.uniform(8, 14)), 2),
            font=str(rng.choice(FONTS)),
        ),
        qr_label=_qr_label(record_id, geometry, rng) if rng.random() < 0.3 else None,
    )


def _patient(rng: np.random.Generator) -> dict[str, str]:
    moment = np.datetime64("1985-01-01T00:00:00") + np.timedelta64(
        int(rng.integers(0, 40 * 365 * 86400)), "s"
    )
    return {
        "age": str(rng.integers(18, 95)),
        "sex": str(rng.choice(["Female", "Male"])),
        "name": f"{rng.choice(FIRST_NAMES)} {rng.choice(LAST_NAMES)}",
        "height": str(rng.integers(148, 198)),
        "weight": str(rng.integers(45, 120)),
        "date": str(moment).replace("T", ", "),
    }


def _blocks(
    record_id: str, geometry: PageGeometry, rng: np.random.Generator, font: str, points: float
) -> list[Text]:
    """Two or three blocks of lines at the top: who, what was measured, what was found."""
    patient = _patient(rng)
    qt_ms = int(rng.integers(340, 460))
    who = [patient["name"], f"ID {record_id}", patient["date"], f"{patient['age']} yr {patient['sex']}"]
    measured = [
        f"Vent. rate {rng.integers(48, 120)} BPM",
        f"PR interval {rng.integers(110, 220)} ms",
        f"QRS duration {rng.integers(70, 150)} ms",
        f"QT/QTc {qt_ms}/{qt_ms + int(rng.integers(-10, 40))} ms",
        f"P-R-T axes {rng.integers(0, 80)} {rng.integers(-40, 100)} {rng.integers(0, 80)}",
    ]
    found = [str(finding) for finding in rng.choice(FINDINGS, size=int(rng.integers(1, 4)), replace=False)]
    blocks = [who, measured, found][: int(rng.integers(2, 4))]
    width_mm = geometry.mm_of_x_px(geometry.width_px)
    spacing_mm, top_mm = points * rng.uniform(0.40, 0.52), rng.uniform(5, 9)
    lefts_mm = [share * width_mm + rng.uniform(2, 8) for share in (0.0, 0.3, 0.6)]
    return [
        Text(
            text=line, x_mm=round(left, 2), y_mm=round(top_mm + row * spacing_mm, 2), points=points, font=font
        )
        for left, lines in zip(lefts_mm, blocks, strict=False)
        for row, line in enumerate(lines)
    ]


def _scales(
    setup: PageSetup, geometry: PageGeometry, rng: np.random.Generator, font: str, points: float
) -> list[Text]:
    """Speed, gain, filter and device at the bottom."""
    speed, gain = setup.paper_speed_mm_s, setup.gain_mm_mv
    line = [
        str(rng.choice([f"{speed:g}mm/s", f"{speed:g} mm/s"])),
        str(rng.choice([f"{gain:g}mm/mV", f"{gain:g} mm/mV"])),
        str(rng.choice(["0.05-150 Hz", "0.5-40Hz", "F 50~ 0.15-100 Hz"])),
        str(rng.choice(DEVICES)),
    ][: int(rng.integers(2, 5))]
    y_mm = geometry.mm_of_y_px(geometry.height_px) - rng.uniform(3, 7)
    x_mm, step_mm = rng.uniform(3, 60), rng.uniform(35, 55)
    return [
        Text(text=text, x_mm=round(x_mm + index * step_mm, 2), y_mm=round(y_mm, 2), points=points, font=font)
        for index, text in enumerate(line)
    ]


def _qr_label(record_id: str, geometry: PageGeometry, rng: np.random.Generator) -> QrLabel:
    size_mm = float(rng.uniform(16, 26))
    right_mm = geometry.mm_of_x_px(geometry.width_px) - size_mm
    x_mm, y_mm = right_mm - rng.uniform(2, 12), rng.uniform(2, 10)
    return QrLabel(text=record_id, x_mm=round(x_mm, 2), y_mm=round(y_mm, 2), size_mm=round(size_mm, 2))
