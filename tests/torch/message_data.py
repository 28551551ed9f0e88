"""Real text: which of ten languages is a message of Django's in?

Languages, vocabulary and length of training were chosen on these same test messages, so an accuracy
on them guards against regressions and says nothing of what the mark costs.
"""

import gettext
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import django
import numpy as np
from support.fixed import fixed_watermark
from tokenizers import ByteLevelBPETokenizer

from wmx import Watermark
from wmx.protocol.task import Task
from wmx.triggers.tokens import Tokens

LANGUAGES = ("cs", "de", "fi", "fr", "hu", "id", "lv", "pl", "sv", "tr")
SHORTEST = 25  # characters: below, a message is often a name or a format, the same in all
LENGTH, VOCABULARY, PADDING = 24, 4000, 0


@dataclass(frozen=True)
class Messages:
    """Texts as token ids.

    Attributes:
        ids: int64 [N, LENGTH], padded with PADDING.
        labels: int64 [N], places in LANGUAGES.
    """

    ids: np.ndarray
    labels: np.ndarray

    def items(self) -> list[dict[str, object]]:
        """As a Hugging Face tokenizer gives them."""
        return [
            {"input_ids": row.tolist(), "attention_mask": mask.tolist(), "labels": int(label)}
            for row, mask, label in zip(
                self.ids, (self.ids != PADDING).astype(int), self.labels, strict=True
            )
        ]


def texts(language: str) -> list[str]:
    """Django's messages in one language, from its gettext catalogues."""
    found = set()
    for path in Path(django.__file__).parent.glob(f"*/**/{language}/LC_MESSAGES/django.mo"):
        with path.open("rb") as file:
            catalogue = gettext.GNUTranslations(file)._catalog  # type: ignore[attr-defined]
        found |= {text for key, text in catalogue.items() if key and len(text) >= SHORTEST}
    return sorted(found)


@cache
def messages() -> tuple[Messages, Messages]:
    """About 2,500 messages for training and 600 for testing."""
    known = [(text, label) for label, name in enumerate(LANGUAGES) for text in texts(name)]
    order = np.random.default_rng(0).permutation(len(known))
    tokenizer = ByteLevelBPETokenizer(lowercase=True)
    tokenizer.train_from_iterator(
        (text for text, _ in known), VOCABULARY, special_tokens=["<pad>"], show_progress=False
    )
    tokenizer.enable_truncation(LENGTH)
    tokenizer.enable_padding(pad_id=PADDING, pad_token="<pad>", length=LENGTH)
    encoded = tokenizer.encode_batch([text for text, _ in known])
    ids = np.array([encoding.ids for encoding in encoded], dtype=np.int64)[order]
    labels = np.array([label for _, label in known], dtype=np.int64)[order]
    test = len(known) // 5
    return Messages(ids[test:], labels[test:]), Messages(ids[:test], labels[:test])


def message_watermark() -> Watermark:
    task = Task("tokens", (LENGTH,), len(LANGUAGES))
    return fixed_watermark(task, generator=Tokens(VOCABULARY, excluded=(PADDING,)))
