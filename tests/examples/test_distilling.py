"""A teacher beside the labels."""

import torch
from torch import nn
from torch.nn.functional import cross_entropy, one_hot

from examples.distilling import Teacher

IMAGES, LABELS = torch.randn(6, 4, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1, 2, 0, 1, 2])


def test_without_a_share_it_is_cross_entropy() -> None:
    logits = torch.randn(6, 3)
    assert torch.equal(Teacher(nn.Linear(4, 3), 0.0).loss(IMAGES, logits, LABELS), cross_entropy(logits, LABELS))


def test_a_pupil_that_says_the_same_costs_nothing_and_no_gradient_reaches_the_teacher() -> None:
    teacher = nn.Linear(4, 3)
    logits = teacher(IMAGES).detach().requires_grad_()
    loss = Teacher(teacher, 1.0).loss(IMAGES, logits, LABELS)
    loss.backward()
    assert abs(loss.item()) < 1e-6
    assert logits.grad is not None
    assert logits.grad.abs().max() < 1e-6
    assert teacher.weight.grad is None


def test_a_teacher_that_is_sure_is_like_labels_but_softer() -> None:
    class Sure(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return 200.0 * one_hot(LABELS, 3)

    logits = torch.randn(6, 3)
    assert torch.allclose(Teacher(Sure(), 1.0).loss(IMAGES, logits, LABELS), 4 * cross_entropy(logits / 2, LABELS))
