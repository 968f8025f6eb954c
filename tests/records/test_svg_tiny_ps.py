"""Logos: every safe file is read and held against the profile; nothing in it can harm the reader."""

import gzip
import time
import zlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from delivcheck.records.svg_tiny_ps import MAX_DEPTH, MAX_FAULTS, MAX_READ, MAX_TITLE, SvgError, read, unpack

ROOT = '<svg xmlns="http://www.w3.org/2000/svg" version="1.2" baseProfile="tiny-ps" viewBox="0 0 10 10"{more}>{inside}</svg>'


def svg(inside="<title>Example</title>", more=""):
    return ROOT.replace("{more}", more).replace("{inside}", inside).encode()


def faults(inside, more=""):
    return [(fault.kind, fault.message) for fault in read(svg("<title>Example</title>" + inside, more)).faults]


def test_a_logo_in_the_profile_has_no_faults():
    logo = read(svg())
    assert (logo.title, logo.faults, logo.compressed, logo.octets) == ("Example", (), False, svg())


@pytest.mark.parametrize("box", ["0 0 10 10", "0,0,10,10", " -5 -5  1e1 10.0 ", "0 0 .5 0.5"])
def test_a_square_view_box_is_one_however_it_is_written(box):
    assert read(svg().replace(b'"0 0 10 10"', f'"{box}"'.encode())).faults == ()


@pytest.mark.parametrize(
    "box",
    [
        "",
        "0 0 10",
        "0 0 a a",
        "0 0 10 10 10",
        "0 0 nan nan",
        "0 0 " + "9" * 400 + " 1",
        "0 0 0 0",
        "0 0 -1 -1",
        "0 0 1e999 1e999",
    ],
)
def test_a_view_box_that_is_none_is_told(box):
    assert [fault.kind for fault in read(svg().replace(b'"0 0 10 10"', f'"{box}"'.encode())).faults] == ["view-box"]


@pytest.mark.parametrize(
    ("inside", "told"),
    [
        ("<svg/>", ("element", "<svg> is not in the profile")),
        ("<tspan/>", ("element", "<tspan> is not in the profile")),
        ("<g><animate/></g>", ("element", "<animate> is not in the profile: it is animation")),
        ("<html xmlns='http://www.w3.org/1999/xhtml'/>", ("element", "<html> is no SVG element")),
        ("<use href=' #a'/>", None),
        ("<use href=''/>", None),
        ("<use xmlns:x='http://www.w3.org/1999/xlink' x:href='a.svg'/>", ("reference", "<use> refers to a.svg")),
        ("<use href='data:image/svg+xml,x'/>", ("reference", "<use> embeds a data: URI")),
        ("<path fill='url( \"#a\" )'/>", None),
        ("<path fill='url(//x.example/a)'/>", ("reference", "<path> refers to //x.example/a")),
        ("<path fill='url(#a) url(//x.example/a)'/>", ("reference", "<path> refers to //x.example/a")),
        ("<path style='fill:red'/>", ("attribute", "<path> has a style attribute")),
        ("<path ONload='x()'/>", ("attribute", "<path> has the event handler ONload")),
        ("<?xml-stylesheet href='a.css'?>", ("reference", "it has a processing instruction, xml-stylesheet")),
        ("<path xml:space='preserve'/><!-- comment -->", None),
    ],
)
def test_what_the_profile_does_not_allow_is_told(inside, told):
    assert faults(inside) == ([told] if told else [])


def test_a_document_type_elsewhere_is_a_reference_and_one_without_is_none():
    assert read(b"<!DOCTYPE svg>" + svg()).faults == ()
    assert [fault.kind for fault in read(b'<!DOCTYPE svg PUBLIC "x" "http://www.w3.org/x.dtd">' + svg()).faults] == ["doctype"]


def test_the_title_is_the_roots_own_and_has_text():
    assert read(svg("<title> A <!-- b --> C </title><title>D</title>")).title == "A  C"
    assert read(svg("<title>" + "x" * 500 + "</title>")).title == "x" * MAX_TITLE
    for inside in ("", "<title/>", "<title> </title>", "<g><title>A</title></g>"):
        assert [fault.kind for fault in read(svg(inside)).faults] == ["title"]


def test_line_ends_are_brought_to_lf_for_the_hash():
    assert read(svg("<title>\r\nA\rB\n</title>")).canonical == svg("<title>\nA\nB\n</title>")


def test_svgz_is_unpacked():
    logo = read(gzip.compress(svg()))
    assert (logo.compressed, logo.octets) == (True, svg())


@pytest.mark.parametrize(
    ("octets", "says"),
    [
        (b"", "it is no XML: no element found"),
        (b"<svg", "it is no XML: unclosed token"),
        (b"<svg/>", "its root is <svg> and not SVG's <svg>"),
        (b"<?xml version='1.0' encoding='klingon'?><svg/>", None),
        (b"<?xml version='1.0' encoding='utf-7'?><svg/>", None),
        (b"<?xml version='1.0' encoding='shift_jis'?><svg/>", None),
        (b"\x1f\x8b\x08", "it is gzip that breaks off"),
        (b"\x1f\x8b no gzip", "it begins like gzip and cannot be unpacked: "),
        (gzip.compress(svg())[:-12], "it is gzip that breaks off"),
        (b"<!DOCTYPE a [<!ENTITY % b SYSTEM 'http://x.example/'> %b;]><a/>", "it declares the entity b"),
        (b"<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><a>&b;</a>", "it declares the entity b"),
        (b'<!DOCTYPE a [<!ATTLIST g b CDATA "">]>' + svg("<g/>"), "it declares attributes of <g>"),
        (svg("<g>" * MAX_DEPTH + "</g>" * MAX_DEPTH), f"its elements are more than {MAX_DEPTH} deep"),
        (b" " * (MAX_READ + 1), f"it has {MAX_READ + 1:,} octets, too many to read"),
        (gzip.compress(b" " * (MAX_READ + 1)), f"it unpacks to more than {MAX_READ:,} octets"),
    ],
)
def test_what_is_no_safe_svg_is_refused(octets, says):
    with pytest.raises(SvgError) as caught:
        read(octets)
    assert says is None or caught.value.message.startswith(says)


def test_a_zip_bomb_is_not_unpacked():
    packer = zlib.compressobj(9, wbits=31)
    bomb = b"".join(packer.compress(bytes(1 << 20)) for _ in range(200)) + packer.flush()
    started = time.monotonic()
    with pytest.raises(SvgError, match="unpacks to more than"):
        unpack(bomb)
    assert time.monotonic() - started < 2


def test_default_attributes_do_not_multiply():
    """5 KB of gzip took 22 seconds: 2,000 declared attributes, brought to each of 20,000 elements."""
    many = " ".join(f'a{number} CDATA ""' for number in range(2000))
    started = time.monotonic()
    with pytest.raises(SvgError, match="declares attributes"):
        read(gzip.compress(f"<!DOCTYPE svg [<!ATTLIST g {many}>]>".encode() + svg("<g/>" * 20_000)))
    assert time.monotonic() - started < 2


def test_a_flood_of_faults_is_cut():
    assert len(read(svg("".join(f"<e{n}/>" for n in range(5000)))).faults) == MAX_FAULTS


@given(st.one_of(st.binary(max_size=400), st.text(alphabet="<>/&;![]?='\"# svgtile\n", max_size=200).map(svg)))
@example(b"<?xml version='1.0' encoding='idna'?><svg/>")
@example(b"\x1f\x8b")
def test_it_returns_or_raises_the_one_declared_error(octets):
    try:
        for fault in read(octets).faults:
            assert fault.message.isprintable()
    except SvgError as error:
        assert error.message
