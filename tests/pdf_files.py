"""Small PDFs written by hand: what stands on their pages is known to the last digit."""

import zlib
from pathlib import Path

FONT = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"


def write_pdf(
    path: Path,
    content: str,
    size_pt: tuple[float, float] = (792.0, 612.0),
    *,
    picture: tuple[int, int, bytes] | None = None,
    form: str | None = None,
    rotate: int = 0,
    encrypt: bytes = b"",
) -> Path:
    """A PDF of one page with these operators; its font is /F, its picture (width, height, grey bytes) /Im, its form,
    which is drawn at twice its size, /Fm.

    `encrypt` is the dictionary of a PDF that is locked with a password.
    """
    named = b"/Font << /F 4 0 R >>"
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"",
        FONT,
        _stream(b"", content.encode("latin-1")),
    ]
    if picture:
        width, height, grey = picture
        kind = f"/Type /XObject /Subtype /Image /Width {width} /Height {height} "
        objects.append(_stream((kind + "/ColorSpace /DeviceGray /BitsPerComponent 8").encode(), grey))
        named += b" /XObject << /Im 6 0 R >>"
    if form is not None:
        kind = b"/Type /XObject /Subtype /Form /BBox [-5000 -5000 5000 5000] /Resources << /Font << /F 4 0 R >> >>"
        objects.append(_stream(kind + b" /Matrix [2 0 0 2 0 0]", form.encode("latin-1")))
        named += b" /XObject << /Fm 6 0 R >>"
    box = f"/MediaBox [0 0 {size_pt[0]:g} {size_pt[1]:g}] /Rotate {rotate}".encode()
    objects[2] = (
        b"<< /Type /Page /Parent 2 0 R " + box + b" /Contents 5 0 R /Resources << " + named + b" >> >>"
    )
    return write_file(path, objects, encrypt)


def write_file(path: Path, objects: list[bytes], encrypt: bytes = b"") -> Path:
    """A PDF of these objects, of which the first is the catalog."""
    path.write_bytes(_file(objects, encrypt))
    return path


def _stream(kind: bytes, data: bytes) -> bytes:
    packed = zlib.compress(data)
    return b"<< %s /Filter /FlateDecode /Length %d >>\nstream\n%s\nendstream" % (kind, len(packed), packed)


def _file(objects: list[bytes], encrypt: bytes) -> bytes:
    data, places = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, start=1):
        places.append(len(data))
        data += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    trailer = b"<< /Size %d /Root 1 0 R /ID [<00> <00>] %s >>" % (
        len(objects) + 1,
        b"/Encrypt %s" % encrypt if encrypt else b"",
    )
    xref = b"xref\n0 %d\n0000000000 65535 f \n%s" % (len(objects) + 1, table)
    return data + xref + b"trailer\n%s\nstartxref\n%d\n%%%%EOF\n" % (trailer, len(data))
