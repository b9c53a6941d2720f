"""What a file holds beside its picture, which is not written, and the metadata that announce it."""

import re
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from xml.dom import XMLNS_NAMESPACE, minidom

# Names of XMP, each a pattern of a namespace and one of what is in it, and what they announce.
_GOOGLE = r'http://ns\.google\.com/photos/'
_ANNOUNCED = {
    (r'http://ns\.adobe\.com/hdr-gain-map/.*', '.*'): 'gain map',
    (r'http://ns\.apple\.com/(HDRGainMap|pixeldatainfo)/.*', '.*'): 'gain map',
    (rf'{_GOOGLE}1\.0/container/.*', '.*'): 'list of parts',
    (rf'{_GOOGLE}1\.0/camera/', '(MotionPhoto|MicroVideo).*'): 'video',
    (r'http://ns\.oplus\.com/photos/1\.0/camera/', '.*'): 'video',
    (rf'{_GOOGLE}1\.0/depthmap/', '.*'): 'depth map',
    (rf'{_GOOGLE}dd/.*', '.*'): 'depth map',
    (r'http://ns\.xiaomi\.com/photos/1\.0/camera/', '.*'): 'depth map',
    (rf'{_GOOGLE}1\.0/image/', '.*'): 'former picture',
    (rf'{_GOOGLE}1\.0/audio/', '.*'): 'sound',
    (r'http://ns\.adobe\.com/xap/1\.0/', 'Thumbnails'): 'preview',
    (r'http://ns\.adobe\.com/xmp/note/', '.*'): 'extended XMP',
    (r'http://purl\.org/dc/terms/', 'provenance'): 'content credentials',
}
_HINT = re.compile('|'.join(ns if name == '.*' else name for ns, name in _ANNOUNCED).encode())
_MARKER = re.compile(rb'\xff[^\0\xd0-\xd7\xff]')  # what compressed samples never have


def without_parts(xmp: bytes) -> tuple[bytes, list[str]]:
    """An XMP packet without what announces parts beside the picture, and the names of these parts.

    Nothing else of it changes; it is empty where it may announce some and cannot be read as XML.
    """
    if not _HINT.search(xmp.replace(b'\0', b'')):  # in UTF-16 too
        return xmp, []
    try:
        text = xmp.decode('utf-16' if xmp.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) else 'utf-8')
        if '<!DOCTYPE' in text:  # whose entities may grow without bound
            raise ValueError
        document = minidom.parseString(text.strip('\0 \n\ufeff').encode())
        parts = list(dict.fromkeys(_take_out(document)))
        kept = ''.join(node.toxml() for node in document.childNodes).encode()
    except Exception:  # as diverse as what a damaged file may hold
        return b'', ['all of its XMP, which is damaged']
    return (kept, parts) if parts else (xmp, [])


def bytes_behind(jpeg: bytes) -> int:
    """How many bytes of a JPEG file lie behind its picture, 0 for mere padding."""
    at = 0
    while marker := _MARKER.search(jpeg, at):
        at, code = marker.end(), jpeg[marker.end() - 1]
        if code == 0xD9:  # the end of the picture
            return len(jpeg) - at if jpeg[at:].strip(b'\0\xff\r\n ') else 0
        if code not in (0x01, 0xD8):  # which stand alone
            at += int.from_bytes(jpeg[at : at + 2], 'big')
    return 0


def _take_out(node: minidom.Node) -> list[str]:
    """Removes from a node what announces parts, and names them."""
    found = []
    for attribute in [*node.attributes.values()] if node.attributes else ():
        if attribute.namespaceURI == XMLNS_NAMESPACE:
            if _part(attribute.value, ''):  # of nothing but what is removed
                node.removeAttributeNode(attribute)
        elif part := _part(attribute.namespaceURI, attribute.localName):
            node.removeAttributeNode(attribute)
            found.append(part)
    for child in [*node.childNodes]:
        if part := _part(child.namespaceURI, child.localName):
            node.removeChild(child)
            found.append(part)
        else:
            found += _take_out(child)
    return found


def _part(namespace: str | None, name: str | None) -> str:
    """What a name of XMP announces, or ''."""
    for patterns, part in _ANNOUNCED.items():
        if all(map(re.fullmatch, patterns, (namespace or '', name or ''))):
            return part
    return ''
