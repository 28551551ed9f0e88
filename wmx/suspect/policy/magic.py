"""Magic numbers of archives, databases, key stores and keys; docs/security.md lists the same."""

import re
from re import Pattern

# kind of file, offset, and the bytes of which one is found there
MAGIC: tuple[tuple[str, int, tuple[bytes, ...]], ...] = (
    ("an archive", 0, (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")),  # zip; empty; in parts
    ("an archive", 0, tuple(b"BZh%d" % level for level in range(1, 10))),  # bzip2
    ("an archive", 0, (b"\xfd7zXZ\0", b"LZIP")),
    ("an archive", 0, (b"\x28\xb5\x2f\xfd",)),  # zstd
    ("an archive", 0, tuple(bytes([first]) + b"\x2a\x4d\x18" for first in range(0x50, 0x60))),
    ("an archive", 0, (b"\x04\x22\x4d\x18", b"\x02\x21\x4c\x18")),  # lz4
    ("an archive", 0, (b"7z\xbc\xaf\x27\x1c", b"Rar!\x1a\x07", b"MSCF\0\0\0\0", b"xar!")),
    ("an archive", 0, (b"!<arch>\n", b"070701", b"070702", b"070707")),  # ar, cpio
    ("an archive", 257, (b"ustar\0", b"ustar ")),  # tar
    ("a database", 0, (b"SQLite format 3\0",)),
    # Berkeley DB, either byte order: hash, btree, queue, heap; at the front in version 1
    *(
        ("a database", place, (magic.to_bytes(4, "little"), magic.to_bytes(4, "big")))
        for magic in (0x00061561, 0x00053162, 0x00042253, 0x00074582)
        for place in (0, 12)
    ),
    # GDBM, either byte order
    *(
        ("a database", 0, (magic.to_bytes(4, "little"), magic.to_bytes(4, "big")))
        for magic in (0x13579ACD, 0x13579ACE, 0x13579ACF, 0x13579AD0, 0x13579AD1)
    ),
    ("a database", 16, (b"\xde\xc0\xef\xbe", b"\xbe\xef\xc0\xde")),  # LMDB
    ("a key store", 0, (b"\x03\xd9\xa2\x9a\x67\xfb\x4b\xb5",)),  # KeePass 2
    ("a key store", 0, (b"\x03\xd9\xa2\x9a\x66\xfb\x4b\xb5", b"\x03\xd9\xa2\x9a\x65\xfb\x4b\xb5")),
    ("a key store", 0, (b"\xfe\xed\xfe\xed", b"\xce\xce\xce\xce")),  # Java's JKS and JCEKS
    ("a key store", 0, (b"kych",)),  # macOS
    ("a key store", 8, (b"KBXf",)),  # GnuPG
    ("a numpy array", 0, (b"\x93NUMPY",)),
    ("an HDF5 file", 0, (b"\x89HDF",)),
    ("an encrypted file", 0, (b"Salted__", b"age-encryption.org/", b"LUKS\xba\xbe")),
)

LENGTH = rb"(?:[\x00-\x80]|\x81.|\x82..|\x83...|\x84....)"  # of DER, or none, as in BER
# a SEQUENCE that begins with the version of PKCS #1, PKCS #8, SEC 1 or PKCS #12
DER_KEY = rb"\x30" + LENGTH + rb"\x02\x01[\x00\x01\x03]"
# EncryptedPrivateKeyInfo: the identifier of an encryption of PKCS #5 or #12
DER_ENCRYPTED_KEY = (
    rb"\x30" + LENGTH + rb"\x30" + LENGTH + rb"\x06.\x2a\x86\x48\x86\xf7\x0d\x01[\x05\x0c]"
)
# ContentInfo of PKCS #7
DER_PKCS7 = rb"\x30" + LENGTH + rb"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07"
# a packet of a secret key or subkey in either format of RFC 9580, no longer than any, its version,
# a time from 1991 to 2038, an algorithm; versions 2 and 3 have two bytes of validity between them
OPENPGP_KEY = (
    rb"(?:[\x94\x9c].|[\x95\x9d][\x00-\x3f].|[\x96\x9e]\x00\x00.."
    rb"|[\xc5\xc7](?:[\x00-\xbf]|[\xc0-\xdf].|\xff\x00\x00..))"
    rb"(?:[\x02\x03][\x28-\x7f].....[\x01-\x03]"
    rb"|[\x04-\x06][\x28-\x7f]...[\x01-\x03\x10-\x13\x16\x19-\x1c])"
)
# as GnuPG keeps secret keys: (11:private-key ..., also protected- or shadowed-
GNUPG_KEY = rb"\((?:11:|21:protected-|20:shadowed-)private-key"
PATTERNS: tuple[tuple[str, Pattern[bytes]], ...] = tuple(
    (kind, re.compile(pattern, re.DOTALL))
    for kind, pattern in (
        ("an archive", rb"\x1f\x8b\x08[\x00-\x1f]"),  # gzip, whose other flags are reserved
        ("an archive", rb"\x1f\x9d[\x89-\x90]"),  # compress, with codes of 9 to 16 bits
        ("an archive", rb"\x5d\x00\x00..\xff{8}"),  # lzma, of unknown size
        ("a key in DER", DER_KEY),
        ("a key in DER", DER_ENCRYPTED_KEY),
        ("a key or an encrypted file in DER", DER_PKCS7),
        ("an OpenPGP key", OPENPGP_KEY),
        ("an OpenPGP key", GNUPG_KEY),
    )
)


def kind_by_magic(head: bytes) -> str | None:
    """Return what a file is by its magic number; ``None`` if it has none of these.

    Args:
        head: its first bytes, 300 or all.
    """
    for kind, place, magic in MAGIC:
        if head.startswith(magic, place):
            return kind
    return next((kind for kind, pattern in PATTERNS if pattern.match(head)), None)
