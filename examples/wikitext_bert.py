"""A small BERT learns to guess masked words of WikiText-2, as it is or compressing itself.

    python -m examples.wikitext_bert --dense
    python -m examples.wikitext_bert --gamma 0.1

It learns from the validation split, which is small, and is measured on the test split; both are read from the folder
`wikitext-2` in the folder with the data. Each call is one run and adds a line to results/wikitext_bert.jsonl.
"""

from __future__ import annotations

import torch
from torch import nn

from examples.learning import Recipe
from examples.running import Subject, parser, run
from examples.wikitext import Guessing, load

RECIPE = Recipe(epochs=10, weight_decay=0.0, quantizer_lr=0.05, quantizer_eps=1e-4, gamma=0.1, prune_every=50)


def small_bert(words: int, width: int, layers: int, length: int) -> nn.Module:
    """BERT for masked words, with four heads; without dropout, whose random masks would depend on widths."""
    from transformers import BertConfig, BertForMaskedLM

    config = BertConfig(
        vocab_size=words,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=4,
        intermediate_size=4 * width,
        max_position_embeddings=length,
        type_vocab_size=1,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    return BertForMaskedLM(config)


def main(arguments: list[str] | None = None) -> None:
    """One run."""
    options = parser(__doc__, RECIPE, batch=32)
    options.add_argument("--width", type=int, default=128, help="hidden size")
    options.add_argument("--layers", type=int, default=2, help="encoder layers")
    options.add_argument("--length", type=int, default=64, help="words in a sequence")
    options.add_argument("--vocabulary", type=int, default=2000, help="words that are known")
    given = options.parse_args(arguments)
    if given.smoke:
        given.data, given.width, given.layers, given.length = None, 16, 1, 16
    elif given.data is None:
        raise SystemExit("--data: the folder with wikitext-2 is needed, except with --smoke")
    text = load(given.data, given.vocabulary, given.length)
    torch.manual_seed(given.seed)
    model = small_bert(len(text.words), given.width, given.layers, given.length)
    task = Guessing(text, given.batch_size)
    name = f"BERT, {given.layers} layers, width {given.width}, {len(text.words):,} words"
    data = f"{text.source}, {text.train.numel():,} words to learn from, {text.test.numel():,} to measure on"
    run(Subject("wikitext_bert", name, model, {"input_ids": text.train[:4]}, task, task.steps, data, "loss"), given)


if __name__ == "__main__":
    main()
