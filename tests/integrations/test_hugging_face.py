"""The real Trainer with a tiny BERT and a tiny GPT-2: it trains as a plain loop does, saves, resumes and logs."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch import Tensor, nn
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    GPT2Config,
    GPT2LMHeadModel,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

import scfx
from scfx.integrations.hugging_face import attach
from tests.processes import alone

STEPS, ACCUMULATE, BATCH, GAMMA = 8, 2, 4, 0.5


class Texts(torch.utils.data.Dataset[dict[str, Any]]):
    """Random tokens with labels, and a column that no model knows."""

    def __init__(self, of: str) -> None:
        generator = torch.Generator().manual_seed(0)
        tokens = torch.randint(32, (STEPS * ACCUMULATE * BATCH, 6), generator=generator)
        self._tokens, self._labels = tokens, tokens if of == "words" else tokens[:, 0] % 3

    def __len__(self) -> int:
        return len(self._tokens)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {"input_ids": self._tokens[index], "labels": self._labels[index], "unknown": 7}

    def batch(self, index: int) -> dict[str, Tensor]:
        part = slice(index * BATCH, (index + 1) * BATCH)
        return {"input_ids": self._tokens[part], "labels": self._labels[part]}


def compressed(model: nn.Module, texts: Texts) -> scfx.CompressedModule:
    net = scfx.compress(model.double(), texts.batch(0), dynamic=False)
    net.prune_every = 2
    with torch.no_grad():
        for _, quantizer in net.quantizers():
            quantizer.bits.copy_(torch.linspace(0.5, 8, len(quantizer.bits)))
    return net


@pytest.fixture(scope="module")
def bert() -> scfx.CompressedModule:
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=32, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=12,
        max_position_embeddings=8, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    )  # fmt: skip
    config.num_labels = 3
    return compressed(BertForSequenceClassification(config), Texts("classes"))


def optimizer(net: scfx.CompressedModule) -> torch.optim.Optimizer:
    return torch.optim.Adam(net.param_groups(lr=1e-3, quantizer_lr=0.5))


def trainer(net: nn.Module, folder: Path, of: str = "classes", **options: Any) -> Trainer:
    defaults: dict[str, Any] = {
        "per_device_train_batch_size": BATCH, "gradient_accumulation_steps": ACCUMULATE, "num_train_epochs": 1,
        "max_grad_norm": 0.1, "lr_scheduler_type": "linear", "train_sampling_strategy": "sequential",
        "logging_steps": 1, "save_strategy": "no", "report_to": "none", "use_cpu": True, "disable_tqdm": True,
    }  # fmt: skip
    arguments = TrainingArguments(output_dir=str(folder), **defaults | options)
    optimizers = (optimizer(net), None) if isinstance(net, scfx.CompressedModule) else (None, None)
    return Trainer(net, arguments, train_dataset=Texts(of), eval_dataset=Texts(of), optimizers=optimizers)


def plain_loop(net: scfx.CompressedModule, texts: Texts) -> None:
    """What the Trainer is to do."""
    adam = optimizer(net)
    schedule = torch.optim.lr_scheduler.LambdaLR(adam, lambda step: 1 - step / STEPS)
    for step in range(STEPS):
        adam.zero_grad()
        (GAMMA * net.size()).backward()
        for part in range(ACCUMULATE):
            (net(**texts.batch(step * ACCUMULATE + part)).loss / ACCUMULATE).backward()
        nn.utils.clip_grad_norm_(net.parameters(), 0.1)
        adam.step()
        net.update(adam)
        schedule.step()


def check_same(net: nn.Module, other: nn.Module) -> None:
    torch.testing.assert_close(net.state_dict(), other.state_dict(), rtol=1e-9, atol=1e-9)


class Reporter(TrainerCallback):
    """Stands for those that report logs elsewhere."""

    def __init__(self) -> None:
        self.seen: list[dict[str, float]] = []

    def on_log(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.seen.append(dict(kwargs["logs"]))


def test_it_trains_as_a_plain_loop_does(bert: scfx.CompressedModule, tmp_path: Path) -> None:
    net, by_hand = deepcopy(bert), deepcopy(bert)
    training = trainer(net, tmp_path, eval_strategy="steps", eval_steps=4)
    reporter = Reporter()
    training.add_callback(reporter)
    attach(training, GAMMA)
    result = training.train()
    plain_loop(by_hand, Texts("classes"))
    check_same(net, by_hand)
    logs = [entry for entry in training.state.log_history if "loss" in entry]
    assert len(logs) == STEPS
    for entry in logs:
        assert {"bits_per_weight", "weights_left", "channels_left"} < entry.keys()
    assert logs[-1]["channels_left"] < logs[0]["channels_left"]
    assert [entry["bits_per_weight"] for entry in reporter.seen if "loss" in entry] == [
        entry["bits_per_weight"] for entry in logs
    ]
    assert result.metrics["weights_left"] == net.left().weights < 1
    evaluated = [entry for entry in training.state.log_history if "eval_loss" in entry]
    assert len(evaluated) == 2
    predictions = training.predict(Texts("classes")).predictions
    assert isinstance(predictions, np.ndarray)
    assert predictions.shape == (len(Texts("classes")), 3)


def test_data_parallel_wrappers_follow(
    bert: scfx.CompressedModule, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net, by_hand = deepcopy(bert), deepcopy(bert)
    for name, value in {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "OMP_NUM_THREADS": "1"}.items():
        monkeypatch.setenv(name, value)
    AcceleratorState._reset_state(True)
    with alone():
        training = trainer(net, tmp_path, ddp_backend="gloo")
        attach(training, GAMMA)
        training.train()
    AcceleratorState._reset_state(True)
    assert isinstance(training.model_wrapped, nn.parallel.DistributedDataParallel)
    plain_loop(by_hand, Texts("classes"))
    check_same(net, by_hand)


def test_a_run_goes_on_from_a_checkpoint(bert: scfx.CompressedModule, tmp_path: Path) -> None:
    """The first run saves half-way; the second starts with all channels, and ends bit for bit where the first did."""
    first, second = deepcopy(bert), deepcopy(bert)
    targets = [scfx.SizeTarget(bits=0.01, steps=12) for _ in range(2)]
    for net, target, checkpoint in zip((first, second), targets, (None, str(tmp_path / "checkpoint-4")), strict=True):
        training = trainer(net, tmp_path, save_strategy="steps", save_steps=4)
        attach(training, target)
        training.train(resume_from_checkpoint=checkpoint)
    assert second.left().channels < 1
    torch.testing.assert_close(first.state_dict(), second.state_dict(), rtol=0, atol=0)
    assert targets[0].state_dict() == targets[1].state_dict()
    assert targets[1].state_dict()["begin"] == 0
    assert "step 7 of 12" in str(targets[1])
    anew = trainer(first, tmp_path, restore_callback_states_from_checkpoint=True)
    with pytest.raises(scfx.InputError, match="leave it out, the state of gamma is restored anyway"):
        attach(anew, targets[0])
    attach(anew, GAMMA)


def test_a_loop_with_accelerate(bert: scfx.CompressedModule) -> None:
    """Its optimizers are taken for those inside, which are checked by their kind."""
    net = deepcopy(bert)
    accelerator = Accelerator(cpu=True)
    prepared, loss_free = accelerator.prepare(net, torch.optim.LBFGS(net.parameters()))
    with pytest.raises(scfx.OptimizerError, match="LBFGS"):
        scfx.distributed.update(prepared, loss_free)
    adam = accelerator.prepare(optimizer(net))
    for step in range(4):
        accelerator.backward(prepared(**Texts("classes").batch(step)).loss + GAMMA * net.size())
        adam.step()
        scfx.distributed.update(prepared, [adam])
        adam.zero_grad()
    assert net._training.step == 4


def test_tied_weights_are_saved(tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=32, n_embd=8, n_layer=1, n_head=2, n_positions=8, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
        use_cache=False, bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    net = compressed(GPT2LMHeadModel(config), Texts("words"))
    with torch.no_grad():
        net.get_parameter("transformer.h.0.mlp.c_fc.weight_quantizer.bits")[:8] = 0
    fresh = deepcopy(net)
    training = trainer(net, tmp_path, "words", max_steps=4, disable_tqdm=False)
    attach(training, GAMMA)
    training.train()
    training.save_model(str(tmp_path / "saved"))
    from safetensors.torch import load_file

    fresh.load_state_dict(load_file(tmp_path / "saved" / "model.safetensors"))
    assert fresh.left() == net.left()
    assert fresh.left().weights < 1
    batch = Texts("words").batch(0)
    torch.testing.assert_close(fresh(**batch).logits, net(**batch).logits, rtol=0, atol=0)
    assert net.get_parameter("lm_head.weight") is net.get_parameter("transformer.wte.weight")


def test_what_does_not_go_with_losing_channels_is_refused(bert: scfx.CompressedModule, tmp_path: Path) -> None:
    net = deepcopy(bert)
    best: dict[str, Any] = {
        "load_best_model_at_end": True,
        "eval_strategy": "steps",
        "save_strategy": "steps",
        "eval_steps": 4,
    }
    with pytest.raises(scfx.InputError, match="load_best_model_at_end"):
        attach(trainer(net, tmp_path, save_steps=4, **best), GAMMA)
    with pytest.raises(scfx.InputError, match=r"model is a Linear: build it with Trainer\(model=scfx.compress"):
        attach(trainer(nn.Linear(2, 2), tmp_path), GAMMA)
    training = trainer(net, tmp_path)
    training.optimizer = None
    attach(training, GAMMA)
    with pytest.raises(scfx.InputError, match="the optimizer treats bit depths as it does weights"):
        training.train()
