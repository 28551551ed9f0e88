"""Training data, images and tables that are not what they are said to be."""

import io
import os
import pickle
import struct
import zipfile
import zlib
from typing import Any

import numpy as np
from cases import Attack, Scene, collector

CASES, case = collector()


class Boom:
    """What a pickle would run."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, ("pwned",))


def embed(data: str) -> list[str]:
    return ["embed", "--data", data, "-o", "out", "--key", "owner.pem"]


def npz(scene: Scene, members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> list[str]:
    """Train on an archive of these members."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return embed(scene.put("data.npz", buffer.getvalue()))


def npy(array: Any) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.asarray(array), allow_pickle=True)
    return buffer.getvalue()


@case(2, "pickled objects, which wmx never loads")
def an_npz_with_a_pickle(scene: Scene) -> Attack:
    boom = np.empty(1, object)
    boom[0] = Boom()
    return npz(scene, {"x.npy": npy(boom), "y.npy": npy([0])})


@case(4, "is not an .npz file")
def an_npz_that_is_a_pickle(scene: Scene) -> Attack:
    return embed(scene.put("data.npz", pickle.dumps(Boom())))


@case(4, "is not an .npz file")
def half_an_npz(scene: Scene) -> Attack:
    npz(scene, {"x.npy": npy(np.zeros((9, 8, 8), np.uint8)), "y.npy": npy(np.arange(9))})
    data = (scene.folder / "data.npz").read_bytes()
    return embed(scene.put("data.npz", data[: len(data) // 2]))


@case(4, "is a damaged .npz file")
def an_npz_with_flipped_bytes(scene: Scene) -> Attack:
    npz(scene, {"x.npy": npy(np.zeros((9, 8, 8), np.uint8)), "y.npy": npy(np.arange(9))})
    data = bytearray((scene.folder / "data.npz").read_bytes())
    data[60:90] = bytes(30)
    return embed(scene.put("data.npz", bytes(data)))


@case(4, "more than 200 times its size")
def a_zip_bomb(scene: Scene) -> Attack:
    npz(scene, {"x.npy": npy(np.zeros(2**16, np.uint8)), "y.npy": npy([0])})
    data = bytearray((scene.folder / "data.npz").read_bytes())
    declared = data.find(b"PK\x01\x02") + 24  # the unpacked size, in the directory at the end
    data[declared : declared + 4] = struct.pack("<I", 3 * 2**30)
    return embed(scene.put("data.npz", bytes(data)))


@case(4, "out of memory")
def an_array_of_2_to_50_numbers(scene: Scene) -> Attack:
    header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (1125899906842624,), }"
    head = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header) + 1) + header + b"\n"
    return npz(scene, {"x.npy": head, "y.npy": npy([0])})


@case(4, "damaged .npz file")
def a_header_that_is_a_program(scene: Scene) -> Attack:
    header = b"__import__('os').mkdir('pwned')"
    head = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header) + 1) + header + b"\n"
    return npz(scene, {"x.npy": head, "y.npy": npy([0])})


@case(4, "damaged .npz file")
def an_encrypted_npz(scene: Scene) -> Attack:
    npz(scene, {"x.npy": npy([[0.5]]), "y.npy": npy([0])})
    data = bytearray((scene.folder / "data.npz").read_bytes())
    for magic, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        start = data.find(magic)
        while start >= 0:
            data[start + offset] |= 1
            start = data.find(magic, start + 1)
    return embed(scene.put("data.npz", bytes(data)))


@case(2, "expected x_train, y_train")
def an_npz_that_climbs_out(scene: Scene) -> Attack:
    return npz(scene, {"../../x.npy": npy([[0.5]]), "/etc/y.npy": npy([0])})


@case(4, "not a regular file")
def an_npz_that_is_a_pipe(scene: Scene) -> Attack:
    os.mkfifo("data.npz")
    return embed("data.npz")


@case(2, "neither an existing .npz file nor an existing folder")
def a_csv(scene: Scene) -> Attack:
    return embed(scene.put("data.csv", '=cmd|"/c calc"!A1,1\n' * 100))


@case(2, "is not a numpy array that wmx reads")
def quantiles_that_are_a_pickle(scene: Scene) -> Attack:
    return quantiles(scene, pickle.dumps(Boom()))


@case(2, "is not a numpy array that wmx reads")
def quantiles_with_a_pickle(scene: Scene) -> Attack:
    boom = np.empty((2, 2), object)
    boom[:] = Boom()
    return quantiles(scene, npy(boom))


HEADER_THAT_NEVER_ENDS = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1L,"
NPY_THAT_NEVER_ENDS = (
    b"\x93NUMPY\x01\x00" + struct.pack("<H", len(HEADER_THAT_NEVER_ENDS)) + HEADER_THAT_NEVER_ENDS
)


@case(2, "is not a numpy array that wmx reads")
def quantiles_with_a_header_that_never_ends(scene: Scene) -> Attack:
    return quantiles(scene, NPY_THAT_NEVER_ENDS)


@case(4, "is a damaged .npz file")
def an_npz_with_a_header_that_never_ends(scene: Scene) -> Attack:
    return npz(scene, {"x.npy": NPY_THAT_NEVER_ENDS, "y.npy": npy([0])})


@case(4, "out of memory")
def quantiles_of_2_to_50_numbers(scene: Scene) -> Attack:
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1125899906842624, 2), }"
    head = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header) + 1) + header + b"\n"
    return quantiles(scene, head)


@case(2, "does not hold one array")
def quantiles_in_an_archive(scene: Scene) -> Attack:
    npz(scene, {"x.npy": npy([[0.5]])})
    return quantiles(scene, (scene.folder / "data.npz").read_bytes())


def quantiles(scene: Scene, data: bytes) -> list[str]:
    """Make a claim for features with a table of quantiles."""
    return [
        *("claim", "new", "--shape", "2", "--classes", "3", "--kind", "features"),
        *("--quantiles", scene.put("q.npy", data), "-o", "new.json", "--key", "owner.pem"),
    ]


# pictures


def pictures(scene: Scene, data: bytes) -> list[str]:
    """Train on a folder in which one picture is bad."""
    for name in ("cats", "dogs"):
        os.mkdir(name)
        scene.put(f"{name}/1.png", png(8, 8))
    scene.put("dogs/2.png", data)
    return embed(".")


def png(width: int, height: int, data: bytes | None = None) -> bytes:
    """A grey PNG of any declared size."""
    rows = bytes((width + 1) * height) if data is None else data

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content))
            + kind
            + content
            + struct.pack(">I", zlib.crc32(kind + content))
        )

    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


@case(4, "cannot read the image")
def a_picture_of_noise(scene: Scene) -> Attack:
    return pictures(scene, bytes(range(256)))


@case(4, "cannot read the image")
def half_a_picture(scene: Scene) -> Attack:
    return pictures(scene, png(64, 64, np.random.default_rng(0).bytes(65 * 64))[:1000])


@case(4, "cannot read the image")
def a_picture_of_four_gigapixels(scene: Scene) -> Attack:
    return pictures(scene, png(2**16, 2**16, b""))


@case(4, "cannot read the image")
def a_picture_of_100_megapixels(scene: Scene) -> Attack:
    return pictures(scene, png(10_000, 10_000, b""))


@case(4, "cannot read the image")
def a_program_for_ghostscript(scene: Scene) -> Attack:
    program = (
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n(pwned) (w) file closefile\n%%EOF\n"
    )
    return pictures(scene, program)


@case(4, "not a regular file")
def a_picture_that_is_a_pipe(scene: Scene) -> Attack:
    attack = pictures(scene, png(8, 8))
    os.unlink("dogs/2.png")
    os.mkfifo("dogs/2.png")
    return attack
