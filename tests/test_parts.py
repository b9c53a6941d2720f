"""A written file holds the picture alone, announces nothing else, and what was left out is said."""

import base64
import io
import struct
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from conftest import random_image
from PIL import Image, PngImagePlugin

from mmedit_gl.pictures import read_picture, write_picture
from mmedit_gl.pictures.parts import bytes_behind, without_parts

PHOTO = Image.fromarray(random_image(0, 40, 56))
TARGETS = ('jpg', 'png', 'webp', 'tif')
DC, XMP = 'http://purl.org/dc/elements/1.1/', 'http://ns.adobe.com/xap/1.0/'
G = 'http://ns.google.com/photos/1.0/'
PREVIEW = base64.b64encode(b'a small preview').decode()


def jpeg(image: Image.Image = PHOTO, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, 'JPEG', **options)
    return buffer.getvalue()


def segment(code: int, content: bytes) -> bytes:
    return struct.pack('>BBH', 0xFF, code, len(content) + 2) + content


def packet(attributes: str = '', elements: str = '', **namespaces: str) -> bytes:
    """XMP with an author and a rating beside what is given."""
    namespaces = {'dc': DC, 'xmp': XMP, **namespaces}
    declared = ' '.join(f'xmlns:{prefix}="{uri}"' for prefix, uri in namespaces.items())
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
        '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description rdf:about="" {declared} xmp:Rating="5" {attributes}>{elements}'
        '<dc:creator><rdf:Seq><rdf:li>Zoë &amp; me</rdf:li></rdf:Seq></dc:creator>'
        '</rdf:Description></rdf:RDF></x:xmpmeta>\n<?xpacket end="w"?>'
    ).encode()


def multi_picture_index(sizes: list[int], offset: int) -> bytes:
    """The index of CIPA DC-007, of a first picture and another `offset` bytes behind its header."""
    entries = b''
    for i, size in enumerate(sizes):
        kind = 0x030000 if i == 0 else 0
        entries += struct.pack('>LLLHH', kind, size, offset if i else 0, 0, 0)
    head = b'MM\0*' + struct.pack('>L', 8) + struct.pack('>H', 3)
    head += struct.pack('>HHL4s', 0xB000, 7, 4, b'0100')
    head += struct.pack('>HHLL', 0xB001, 4, 1, len(sizes))
    head += struct.pack('>HHLL', 0xB002, 7, len(entries), 50)
    return segment(0xE2, b'MPF\0' + head + bytes(4) + entries)


def with_segments(picture: bytes, *segments: bytes) -> bytes:
    return picture[:2] + b''.join(segments) + picture[2:]


GAIN_MAP = jpeg(PHOTO.convert('L').resize((14, 10)), xmp=b'<gain hdrgm:GainMapMax="3"/>')
LISTED = (
    '<Container:Directory><rdf:Seq>'
    '<rdf:li rdf:parseType="Resource"><Container:Item Item:Semantic="Primary" '
    'Item:Mime="image/jpeg"/></rdf:li>'
    '<rdf:li rdf:parseType="Resource"><Container:Item Item:Semantic="GainMap" '
    f'Item:Mime="image/jpeg" Item:Length="{len(GAIN_MAP)}"/></rdf:li>'
    '</rdf:Seq></Container:Directory>'
)
ULTRA_HDR = packet(
    'hdrgm:Version="1.0"',
    LISTED,
    hdrgm='http://ns.adobe.com/hdr-gain-map/1.0/',
    Container=f'{G}container/',
    Item=f'{G}container/item/',
)


@pytest.mark.parametrize('target', TARGETS)
def test_an_ultra_hdr_jpeg_becomes_its_picture_and_says_so(tmp_path, target):
    path, out = tmp_path / 'a.jpg', tmp_path / f'out.{target}'
    first = jpeg(quality=83, xmp=ULTRA_HDR)
    index = multi_picture_index([len(first) + 90, len(GAIN_MAP)], len(first) + 80)
    path.write_bytes(with_segments(first, index) + GAIN_MAP)
    picture = read_picture(path)
    assert picture.notes == [
        f'{path} tells of more than its picture, which was left out: gain map, list of parts',
        f'{path} holds {len(GAIN_MAP):,} bytes behind its picture: they were left out',
    ]
    write_picture(picture, out)
    written = out.read_bytes()
    for announced in (b'hdr', b'Container', b'Item', b'GainMap', b'MPF', GAIN_MAP):
        assert announced not in written
    with Image.open(out) as image:
        xmp = image.info.get('xmp') or image.info['XML:com.adobe.xmp'].encode()
    assert without_parts(xmp) == (xmp, [])
    assert 'xmp:Rating="5"' in xmp.decode()
    assert '<rdf:li>Zoë &amp; me</rdf:li>' in xmp.decode()
    again = read_picture(out)
    assert again.notes == []
    alone = np.array(Image.open(io.BytesIO(first)))[..., ::-1]
    assert np.array_equal(picture.pixels, alone)
    if target == 'jpg':
        assert again.jpeg == picture.jpeg
    else:
        assert np.array_equal(again.pixels, alone)


# Attributes, elements and namespaces of XMP, and what they announce.
ANNOUNCED = {
    'motion photo': (
        'GCamera:MotionPhoto="1" GCamera:MotionPhotoVersion="1"',
        '<GCamera:MotionPhotoPresentationTimestampUs>9</GCamera:MotionPhotoPresentationTimestampUs>',
        dict(GCamera=f'{G}camera/'),
        ['video'],
    ),
    'micro video': (
        "Any:MicroVideo='1' Any:MicroVideoOffset = '4096'",
        '',
        dict(Any=f'{G}camera/'),
        ['video'],
    ),
    'live photo': (
        'O:OLivePhotoVersion="2"',
        '',
        dict(O='http://ns.oplus.com/photos/1.0/camera/'),
        ['video'],
    ),
    'container alone': (
        '',
        LISTED,
        dict(Container=f'{G}container/', Item=f'{G}container/item/'),
        ['list of parts'],
    ),
    'depth map': (
        'GDepth:Format="RangeInverse" GImage:Mime="image/jpeg"',
        '<GDepth:Data>aGVyZQ==</GDepth:Data><GAudio:Data>b3I=</GAudio:Data>',
        dict(GDepth=f'{G}depthmap/', GImage=f'{G}image/', GAudio=f'{G}audio/'),
        ['depth map', 'former picture', 'sound'],
    ),
    'dynamic depth': (
        '',
        '<Device:Profiles><rdf:Seq><rdf:li>DepthPhoto</rdf:li></rdf:Seq></Device:Profiles>',
        dict(Device='http://ns.google.com/photos/dd/1.0/device/'),
        ['depth map'],
    ),
    'preview': (
        '',
        '<xmp:Thumbnails><rdf:Alt><rdf:li rdf:parseType="Resource">'
        f'<xmpGImg:image>{PREVIEW}</xmpGImg:image></rdf:li></rdf:Alt></xmp:Thumbnails>',
        dict(xmpGImg='http://ns.adobe.com/xap/1.0/g/img/'),
        ['preview'],
    ),
    'extended XMP': (
        'xmpNote:HasExtendedXMP="0123456789ABCDEF0123456789ABCDEF"',
        '',
        dict(xmpNote='http://ns.adobe.com/xmp/note/'),
        ['extended XMP'],
    ),
    'gain map of Apple': (
        '',
        '<HDRGainMap:HDRGainMapVersion>65536</HDRGainMap:HDRGainMapVersion>',
        dict(HDRGainMap='http://ns.apple.com/HDRGainMap/1.0/'),
        ['gain map'],
    ),
    'credentials': (
        'dcterms:provenance="self#jumbf=/c2pa/urn:uuid:1"',
        '',
        dict(dcterms='http://purl.org/dc/terms/'),
        ['content credentials'],
    ),
}


@pytest.mark.parametrize('kind', ANNOUNCED)
def test_what_announces_a_part_is_taken_out_and_named(kind):
    attributes, elements, namespaces, parts = ANNOUNCED[kind]
    kept, found = without_parts(packet(attributes, elements, **namespaces))
    assert sorted(found) == parts
    document = ElementTree.fromstring(kept)
    expected = ElementTree.fromstring(packet())
    assert ElementTree.tostring(document) == ElementTree.tostring(expected)
    assert without_parts(kept) == (kept, [])


def test_nothing_else_of_xmp_changes():
    camera = dict(GCamera=f'{G}camera/', GPano=f'{G}panorama/')
    others = packet('GCamera:BurstID="7" GPano:ProjectionType="cylindrical"', **camera)
    for xmp in (packet(), others, b'no XML', b'<a', b''):
        assert without_parts(xmp) == (xmp, [])
    both = packet('GCamera:BurstID="7" GCamera:MicroVideo="1"', **camera)
    kept, parts = without_parts(both)
    assert parts == ['video']
    assert b'GCamera:BurstID="7"' in kept
    assert b'MicroVideo' not in kept


LAUGHS = b'<!DOCTYPE x [<!ENTITY laugh0 "ha">'
for number in range(9):
    LAUGHS += b'<!ENTITY laugh%d "%s">' % (number + 1, 10 * (b'&laugh%d;' % number))
LAUGHS += b']>'


@pytest.mark.parametrize(
    'xmp',
    [
        ULTRA_HDR[:-60],
        ULTRA_HDR.replace(b'xmlns:hdrgm', b'xmlns:other'),
        b'<a>' * 100_000 + ULTRA_HDR,
        LAUGHS + ULTRA_HDR.replace(b'Zo', b'&laugh9;Zo'),
    ],
    ids=['cut short', 'undeclared', 'deep', 'entities'],
)
def test_xmp_that_may_announce_parts_and_cannot_be_read_is_left_out_and_said(tmp_path, xmp):
    assert without_parts(xmp) == (b'', ['all of its XMP, which is damaged'])
    path, info = tmp_path / 'a.png', PngImagePlugin.PngInfo()
    info.add_itxt('XML:com.adobe.xmp', xmp.decode())
    PHOTO.save(path, pnginfo=info)
    picture = read_picture(path)
    left = 'which was left out: all of its XMP, which is damaged'
    assert picture.notes == [f'{path} tells of more than its picture, {left}']
    for target in TARGETS:
        out = tmp_path / f'out.{target}'
        write_picture(picture, out)
        assert b'Container' not in out.read_bytes()
        assert read_picture(out).notes == []


def test_xmp_in_utf_16_is_looked_through_too():
    kept, parts = without_parts(ULTRA_HDR.decode().replace('\ufeff', '').encode('utf-16'))
    assert parts == ['gain map', 'list of parts']
    assert 'Zoë' in kept.decode()


@pytest.mark.parametrize('progressive', [False, True])
def test_bytes_behind_a_jpeg_are_counted_where_they_are_no_padding(progressive):
    preview = jpeg(PHOTO.resize((16, 12)))
    for options in ({}, dict(exif=b'Exif\0\0' + preview), dict(restart_marker_blocks=2)):
        whole = jpeg(progressive=progressive, **options)
        assert bytes_behind(whole) == 0
        assert bytes_behind(whole + bytes(7) + b'\r\n') == 0
        assert bytes_behind(whole + b'video' + bytes(3)) == 8
        assert bytes_behind(whole + preview) == len(preview)
        assert bytes_behind(whole[:-2]) == 0
    for cut in range(0, len(whole), 7):
        assert bytes_behind(whole[:cut]) == 0


def test_of_a_multi_picture_file_neither_the_others_nor_their_index_are_written(tmp_path):
    path, out = tmp_path / 'a.jpg', tmp_path / 'b.jpg'
    PHOTO.save(path, 'MPO', save_all=True, append_images=[PHOTO.resize((14, 10))])
    assert b'MPF\0' in path.read_bytes()
    picture = read_picture(path)
    assert picture.notes == [f'{path} holds more than one picture: the first was taken']
    write_picture(picture, out)
    assert b'MPF\0' not in out.read_bytes()
    assert bytes_behind(out.read_bytes()) == 0
    assert read_picture(out).notes == []


def test_makers_notes_with_a_preview_and_the_mark_of_a_video_are_left_out(tmp_path):
    preview = jpeg(PHOTO.resize((16, 12)))
    notes = {'a': b'Maker\0' + preview, 'b': b'Maker\0' + bytes(40)}
    expected = {
        'a': "which was left out: video, preview in the maker's notes",
        'b': 'which was left out: video',
    }
    for name, note in notes.items():
        path, exif = tmp_path / f'{name}.jpg', Image.Exif()
        exif[0x10F], exif[0x8769] = 'Maker', {0x8897: 1, 0x927C: note, 0x829A: 0.008}
        PHOTO.save(path, exif=exif)
        picture = read_picture(path)
        said = f'{path} tells of more than its picture, {expected[name]}'
        assert picture.notes == [said]
        for target in TARGETS:
            out = tmp_path / f'out.{target}'
            write_picture(picture, out)
            assert preview not in out.read_bytes()
            kept = Image.open(out).getexif().get_ifd(0x8769)
            assert float(kept[0x829A]) == pytest.approx(0.008)
            assert kept.get(0x927C) == (note if name == 'b' else None)
            assert 0x8897 not in kept


def test_a_picture_of_a_telephone_with_a_trailer_is_said_to_lose_it(tmp_path: Path):
    path = tmp_path / 'a.jpg'
    path.write_bytes(jpeg() + b'MotionPhoto_Data' + bytes(range(256)) + b'SEFT')
    (note,) = read_picture(path).notes
    assert note == f'{path} holds 276 bytes behind its picture: they were left out'
