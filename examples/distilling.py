"""Learning from a trained network as well as from the labels (Hinton et al. 2015, section 2)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

#: What logits are divided by before teacher and pupil are compared, so that wrong classes count as well.
TEMPERATURE = 2.0


@dataclass(frozen=True)
class Teacher:
    """A trained network in evaluation.

    Attributes:
        network: It takes the images and returns logits.
        share: The part of the loss that compares with it, from 0 to 1; the rest is cross entropy with the labels.
    """

    network: nn.Module
    share: float

    def loss(self, images: Tensor, logits: Tensor, labels: Tensor) -> Tensor:
        """What a batch costs a pupil that gave these logits, each of shape (N, classes); labels have shape (N,)."""
        with torch.no_grad():
            wanted = functional.log_softmax(self.network(images) / TEMPERATURE, dim=1)
        given = functional.log_softmax(logits / TEMPERATURE, dim=1)
        # Softened logits have gradients that are smaller by the square of the temperature.
        apart = TEMPERATURE**2 * functional.kl_div(given, wanted, log_target=True, reduction="batchmean")
        return self.share * apart + (1 - self.share) * functional.cross_entropy(logits, labels)
