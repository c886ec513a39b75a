"""Made-up texts, and where a page shows them."""

import numpy as np
import pytest

from ecg_generator_with_train_src.page.furniture_content import default_furniture, varied_furniture
from ecg_generator_with_train_src.page.layouts import PageSetup


@pytest.fixture
def geometry():
    setup = PageSetup(paper_speed_mm_s=50, gain_mm_mv=5)
    return setup, setup.page_on(setup.paper())


def test_the_default_page_names_the_record_and_its_scales(geometry):
    furniture = default_furniture("17", *geometry, np.random.default_rng(0))
    texts = [text.text for text in furniture.texts]
    assert texts[0] == "ID: 17"
    assert texts[-2:] == ["50mm/s", "5mm/mV"]
    assert furniture.qr_label is None


def test_a_varied_page_names_them_too_and_keeps_its_texts_on_the_sheet(geometry):
    setup, page = geometry
    labelled = 0
    for seed in range(30):
        furniture = varied_furniture("17", setup, page, np.random.default_rng(seed))
        texts = [text.text.replace(" ", "") for text in furniture.texts]
        assert "ID17" in texts
        assert {"50mm/s", "5mm/mV"} <= set(texts)
        assert all(0 < text.y_mm < page.mm_of_y_px(page.height_px) for text in furniture.texts)
        labelled += furniture.qr_label is not None
    assert 3 < labelled < 20
    assert furniture == varied_furniture("17", setup, page, np.random.default_rng(29))
