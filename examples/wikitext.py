"""WikiText-2 as numbers, and guessing masked words of it as a task."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

PAD, UNKNOWN, MASK = 0, 1, 2
SPECIAL = ("<pad>", "<unk>", "<mask>")

#: The share of words to guess; of these, eight in ten are masked, one is replaced by any word, one stays (BERT's way).
GUESSED = 0.15

#: What the loss overlooks.
IGNORED = -100


@dataclass(frozen=True)
class Text:
    """Word numbers, int64 (count, length).

    Attributes:
        train: To learn from.
        test: Never trained on.
        words: The words by number.
        source: What it is, in words.
    """

    train: Tensor
    test: Tensor
    words: tuple[str, ...]
    source: str


def load(folder: Path | None, vocabulary: int, length: int) -> Text:
    """The validation split to learn from and the test split to measure on; made-up text without a folder.

    Args:
        folder: A folder with `wikitext-2/valid.txt` and `wikitext-2/test.txt`, words separated by blanks.
        vocabulary: So many words are known, the most frequent ones of what is learned from; others count as `<unk>`.
        length: Words in a sequence. What doesn't fill one at the end is left out.

    Raises:
        SystemExit: A file is missing.
    """
    if folder is None:
        train, test, source = _made_up(4000, seed=0), _made_up(1000, seed=1), "made-up text"
    else:
        train, test = (_words(folder / "wikitext-2" / f"{part}.txt") for part in ("valid", "test"))
        source = "WikiText-2"
    frequent = [word for word, _ in Counter(train).most_common() if word not in SPECIAL]
    words = (*SPECIAL, *frequent[: vocabulary - len(SPECIAL)])
    numbers = {word: number for number, word in enumerate(words)}

    def sequences(text: list[str]) -> Tensor:
        whole = torch.tensor([numbers.get(word, UNKNOWN) for word in text])
        return whole[: len(whole) // length * length].view(-1, length)

    return Text(sequences(train), sequences(test), words, source)


def _words(path: Path) -> list[str]:
    if not path.exists():
        raise SystemExit(f"--data: there is no {path}")
    return [word for line in path.read_text(encoding="utf-8").splitlines() for word in [*line.split(), "<eos>"]]


def _made_up(count: int, seed: int) -> list[str]:
    """Words of which each decides, but for some noise, the next one."""
    generator = Generator().manual_seed(seed)
    steps = torch.randint(0, 3, (count,), generator=generator)
    return [f"w{number}" for number in ((7 * torch.arange(count) + steps) % 40).tolist()]


def masked(sequences: Tensor, words: int, generator: Generator) -> tuple[Tensor, Tensor]:
    """Returns what the model sees and what it has to guess, both (count, length); elsewhere the latter is `IGNORED`."""
    guessed = torch.rand(sequences.shape, generator=generator) < GUESSED
    way = torch.rand(sequences.shape, generator=generator)
    other = torch.randint(len(SPECIAL), words, sequences.shape, generator=generator)
    seen = sequences.masked_fill(guessed & (way < 0.8), MASK)
    seen = torch.where(guessed & (way >= 0.9), other, seen)
    return seen, sequences.masked_fill(~guessed, IGNORED)


class Guessing:
    """A task for `examples.learning.train`; a score is the mean loss in nats over masked words of the test text.

    Every model is asked the same words of it.
    """

    def __init__(self, text: Text, batch: int) -> None:
        self._text, self._batch = text, batch
        #: Batches in an epoch. A last one that isn't full is left out.
        self.steps = len(text.train) // batch
        self._asked = masked(text.test, len(text.words), Generator().manual_seed(0))

    def batches(self, generator: Generator) -> Iterator[tuple[Tensor, Tensor]]:
        """Every sequence once, in random order, with other words masked than in the epoch before."""
        order = torch.randperm(len(self._text.train), generator=generator)[: self.steps * self._batch]
        seen, labels = masked(self._text.train[order], len(self._text.words), generator)
        yield from zip(seen.split(self._batch), labels.split(self._batch), strict=True)

    def loss(self, model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        """Cross entropy, in nats for each guessed word."""
        seen, labels = batch
        return functional.cross_entropy(model(input_ids=seen).logits.flatten(0, 1), labels.flatten())

    @torch.no_grad()
    def score(self, model: nn.Module) -> float:
        """The loss of an evaluating model; it stays in evaluation."""
        model.eval()
        total, count = 0.0, 0
        for batch in zip(*(part.split(64) for part in self._asked), strict=True):
            here = int((batch[1] != IGNORED).sum())
            total, count = total + here * float(self.loss(model, batch)), count + here
        return total / count
