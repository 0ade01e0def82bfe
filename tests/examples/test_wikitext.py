"""Words as numbers, and masks as BERT's."""

import math
from pathlib import Path

import torch
from torch import Generator, nn

from examples.wikitext import IGNORED, MASK, SPECIAL, UNKNOWN, Guessing, Text, load, masked


def test_frequent_words_are_known(tmp_path: Path) -> None:
    (tmp_path / "wikitext-2").mkdir()
    (tmp_path / "wikitext-2/valid.txt").write_text("a b a\na b c <unk>\n")
    (tmp_path / "wikitext-2/test.txt").write_text("a c b d\n")
    text = load(tmp_path, vocabulary=len(SPECIAL) + 3, length=2)
    assert text.words == (*SPECIAL, "a", "b", "<eos>")
    a, b, end = range(len(SPECIAL), len(SPECIAL) + 3)
    assert text.train.flatten().tolist() == [a, b, a, end, a, b, UNKNOWN, UNKNOWN]
    assert text.test.flatten().tolist() == [a, UNKNOWN, b, UNKNOWN], "the last word fills no sequence"


def test_words_are_masked_as_in_bert() -> None:
    words = 1000
    sequences = torch.randint(len(SPECIAL), words, (400, 50), generator=Generator().manual_seed(1))
    seen, labels = masked(sequences, words, Generator().manual_seed(0))
    guessed = labels != IGNORED
    assert torch.equal(labels[guessed], sequences[guessed])
    assert torch.equal(seen[~guessed], sequences[~guessed])
    count = int(guessed.sum())
    hidden, kept = int((seen[guessed] == MASK).sum()), int((seen == sequences)[guessed].sum())
    for part, whole, share in ((count, sequences.numel(), 0.15), (hidden, count, 0.8), (kept, count, 0.1)):
        assert abs(part / whole - share) < 4 * math.sqrt(share * (1 - share) / whole)


class _Even(nn.Module):
    """Every word is as likely."""

    def forward(self, input_ids: torch.Tensor) -> object:
        from types import SimpleNamespace

        return SimpleNamespace(logits=torch.zeros(*input_ids.shape, 40))


def test_the_score_is_the_mean_over_masked_words() -> None:
    sequences = torch.randint(3, 40, (130, 20), generator=Generator().manual_seed(2))
    task = Guessing(Text(sequences, sequences, ("",) * 40, ""), 32)
    assert math.isclose(task.score(_Even()), math.log(40), rel_tol=1e-5)
    batches = list(task.batches(Generator().manual_seed(0)))
    assert len(batches) == task.steps == 4
