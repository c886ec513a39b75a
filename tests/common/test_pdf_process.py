"""PDFs in a process of their own, with limits on time and memory."""

import pickle
import re
import sys
import zlib

import numpy as np
import pytest

from ecg_generator_with_train_src.common import pdf_process
from ecg_generator_with_train_src.common.batch import outcome_of
from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.common.page_files import read_pages
from ecg_generator_with_train_src.common.pdf_drawing import drawing_of
from ecg_generator_with_train_src.common.pdf_pages import pdf_pages
from ecg_generator_with_train_src.common.pdf_process import PdfLimits, bounded_drawing, bounded_pdf_pages

from pdf_files import write_file, write_pdf

ORDINARY = "1 0 0 RG 2 w 10 20 m 30 20 l 30 50 l S BT /F 10 Tf 20 50 Td (II) Tj ET"
REMEDY = re.escape("; save the page as a picture (PNG)")
needs_limits = pytest.mark.skipif(sys.platform != "linux", reason="no such limit is kept here")


def twice_deflated(path):
    """A page whose operators are 400 MiB of blanks."""
    packer = zlib.compressobj(9)
    once = b"".join(packer.compress(b" " * 2**20) for _ in range(400)) + packer.flush()
    twice = zlib.compress(once, 9)
    kind = b"/Filter [/FlateDecode /FlateDecode]"
    content = b"<< %s /Length %d >>\nstream\n%s\nendstream" % (kind, len(twice), twice)
    return write_file(path, [*head(b""), content])


def nested_forms(path):
    """A page of forms within forms, each drawn ten times by the one above it: a thousand million lines."""
    kind = b"/Type /XObject /Subtype /Form /BBox [0 0 300 200]"
    inner = [
        plain(b"/Fm Do " * 10, kind + b" /Resources << /XObject << /Fm %d 0 R >> >>" % (6 + level))
        for level in range(9)
    ]
    objects = [*head(b"/XObject << /Fm 5 0 R >>"), plain(b"/Fm Do"), *inner, plain(b"0 0 m 9 9 l S", kind)]
    return write_file(path, objects)


def head(named: bytes) -> list[bytes]:
    page = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 300 200] /Contents 4 0 R /Resources << %s >> >>"
    return [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        page % named,
    ]


def plain(content: bytes, kind: bytes = b"") -> bytes:
    return b"<< %s /Length %d >>\nstream\n%s\nendstream" % (kind, len(content), content)


@pytest.fixture
def processes(monkeypatch):
    """The processes that were started."""
    started, popen = [], pdf_process.subprocess.Popen
    monkeypatch.setattr(
        pdf_process.subprocess, "Popen", lambda *a, **k: started.append(popen(*a, **k)) or started[-1]
    )
    return started


def test_what_comes_back_is_what_a_page_holds(tmp_path, processes):
    path = write_pdf(tmp_path / "a.pdf", ORDINARY)
    ((ending, image),), ((same, expected),) = bounded_pdf_pages(path), pdf_pages(path)
    assert ending == same and np.array_equal(image, expected) and image.flags.writeable
    ((_, of_data),) = bounded_pdf_pages(tmp_path / "part of another", path.read_bytes())
    assert np.array_equal(of_data, expected)
    drawing, drawn = bounded_drawing(path, 0), drawing_of(path, 0)
    assert (drawing.width_mm, drawing.height_mm, drawing.text) == (
        drawn.width_mm,
        drawn.height_mm,
        drawn.text,
    )
    assert [stroke.pen for stroke in drawing.strokes] == [stroke.pen for stroke in drawn.strokes]
    assert np.array_equal(drawing.strokes[0].points_mm, drawn.strokes[0].points_mm)
    assert np.array_equal(drawing.letters_mm, drawn.letters_mm)
    assert len(processes) == 3 and all(process.returncode is not None for process in processes)


def test_the_process_ends_where_the_reader_stops(tmp_path, processes):
    pages = bounded_pdf_pages(write_pdf(tmp_path / "a.pdf", ORDINARY))
    next(pages)
    assert processes[0].poll() is None
    pages.close()
    assert processes[0].returncode is not None


def test_the_process_ends_with_whoever_started_it(tmp_path):
    task = PdfLimits(), pdf_pages, (nested_forms(tmp_path / "a.pdf"),)
    with pdf_process._started() as process:
        pickle.dump(task, process.stdin)
        process.stdin.close()  # as the system does when that one is killed
        assert process.wait(60) == 1


@needs_limits
@pytest.mark.parametrize(
    ("hostile", "limits", "why"),
    [
        (twice_deflated, PdfLimits(memory_mib=400), r"takes more than 400 MiB of memory, or is damaged .*"),
        (nested_forms, PdfLimits(memory_mib=400), r"takes more than 400 MiB of memory, or is damaged .*"),
        (nested_forms, PdfLimits(processor_s=0, memory_mib=8192), r"takes more than 0 s of processor time"),
        (nested_forms, PdfLimits(wall_s=0.1), r"takes more than 0\.1 s"),
    ],
)
def test_a_page_over_a_limit_costs_that_file_alone(tmp_path, monkeypatch, processes, hostile, limits, why):
    monkeypatch.setattr(pdf_process, "LIMITS", limits)
    path = hostile(tmp_path / "a.pdf")
    assert path.stat().st_size < 3000
    line = f"^{re.escape(str(path))}: page 1 {why}{REMEDY}$"
    refused = outcome_of(list, read_pages(path))
    assert isinstance(refused, InputError) and re.match(line, str(refused))
    with pytest.raises(InputError, match=line):
        bounded_drawing(path, 0)
    monkeypatch.undo()
    ((name, image),) = read_pages(write_pdf(tmp_path / "b.pdf", ORDINARY, (144, 72)))
    assert (name, image.shape) == ("b-p1", (200, 400, 3))
    assert len(processes) == 2 and all(process.returncode is not None for process in processes)


def test_an_unforeseen_error_comes_back_with_its_own_stack_trace(tmp_path):
    path = write_pdf(tmp_path / "a.pdf", ORDINARY)
    with pytest.raises(Exception) as caught:
        bounded_drawing(path, 7)
    assert "in drawing_of" in str(caught.value.__cause__)


def test_a_pdf_of_a_kilobyte_that_names_its_page_a_million_times_is_refused(tmp_path):
    page = b"<< /Type /Page /Parent 7 0 R /MediaBox [0 0 20 20] >>"
    levels = [
        b"<< /Type /Pages /Kids [%s] /Count %d >>" % (b"%d 0 R " % (level + 1) * 10, 10 ** (8 - level))
        for level in range(2, 8)
    ]
    path = write_file(tmp_path / "a.pdf", [b"<< /Type /Catalog /Pages 2 0 R >>", *levels, page])
    with pytest.raises(
        InputError, match=r"a\.pdf: has more than 1000 pages; divide it, or raise --max-pages"
    ):
        next(bounded_pdf_pages(path))
    with pytest.raises(InputError, match=r"a\.pdf: has more than 999999 pages"):
        next(bounded_pdf_pages(path, most_pages=999_999))
