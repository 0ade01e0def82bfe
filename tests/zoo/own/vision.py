"""Networks on images: dense prediction, style transfer, squeeze and excitation, reparametrized weights."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm, weight_norm


def double_convolution(inputs: int, outputs: int) -> nn.Sequential:
    """Return two convolutions, each with batch norm and ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True),
        nn.Conv2d(outputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True),
    )  # fmt: skip


class UNet(nn.Module):
    """Two levels down, two up, with skip connections that are padded to fit."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.down = nn.ModuleList([double_convolution(3, width), double_convolution(width, 2 * width)])
        self.bottom = double_convolution(2 * width, 4 * width)
        self.up = nn.ModuleList([nn.ConvTranspose2d(4 * width, 2 * width, 2, 2), nn.ConvTranspose2d(16, width, 2, 2)])
        self.merge = nn.ModuleList([double_convolution(4 * width, 2 * width), double_convolution(2 * width, width)])
        self.head = nn.Conv2d(width, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        skips = []
        for block in self.down:
            x = block(x)
            skips.append(x)
            x = F.max_pool2d(x, 2)
        x = self.bottom(x)
        for up, merge, skip in zip(self.up, self.merge, reversed(skips), strict=True):
            x = up(x)
            high, wide = skip.shape[-2] - x.shape[-2], skip.shape[-1] - x.shape[-1]
            x = F.pad(x, [wide // 2, wide - wide // 2, high // 2, high - high // 2])
            x = merge(torch.cat([skip, x], dim=1))
        logits: Tensor = self.head(x)
        return logits


class Padded(nn.Module):
    """A convolution behind reflection padding, with instance norm."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, scale: int = 1) -> None:
        super().__init__()
        self.scale = scale
        self.pad = nn.ReflectionPad2d(kernel // 2)
        self.convolution = nn.Conv2d(inputs, outputs, kernel, stride)
        self.norm = nn.InstanceNorm2d(outputs, affine=True)

    def forward(self, x: Tensor) -> Tensor:
        if self.scale > 1:
            x = F.interpolate(x, scale_factor=float(self.scale), mode="nearest")
        y: Tensor = self.norm(self.convolution(self.pad(x)))
        return y


class StyleTransfer(nn.Module):
    """Down, residual blocks, up by nearest neighbours: fast neural style."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.down = nn.ModuleList([Padded(3, width, 5), Padded(width, 2 * width, 3, 2), Padded(2 * width, 32, 3, 2)])
        self.residual = nn.ModuleList([nn.ModuleList([Padded(32, 32, 3), Padded(32, 32, 3)]) for _ in range(2)])
        self.up = nn.ModuleList([Padded(32, 2 * width, 3, scale=2), Padded(2 * width, width, 3, scale=2)])
        self.out = nn.Sequential(nn.ReflectionPad2d(2), nn.Conv2d(width, 3, 5))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.down:
            x = F.relu(layer(x))
        for block in self.residual:
            y = x
            for index, layer in enumerate(block.children()):
                y = layer(y) if index else F.relu(layer(y))
            x = x + y
        for layer in self.up:
            x = F.relu(layer(x))
        y = self.out(x)
        return torch.sigmoid(y) * 255


class SqueezeExcite(nn.Module):
    """Residual blocks whose channels are gated by a small network on their means."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, width, 3, padding=1)
        self.block = nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width), nn.SiLU())
        self.gate = nn.Sequential(nn.Linear(width, width // 4), nn.ReLU(), nn.Linear(width // 4, width), nn.Sigmoid())
        self.head = nn.Linear(width, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        y = self.block(x)
        b, c, _, _ = y.shape
        x = x + y * self.gate(y.mean(dim=(2, 3))).view(b, c, 1, 1)
        logits: Tensor = self.head(F.adaptive_avg_pool2d(x, 1).flatten(1))
        return logits


class WeightNormed(nn.Module):
    """Weight norm on every layer."""

    def __init__(self) -> None:
        super().__init__()
        self.first = weight_norm(nn.Conv2d(3, 16, 3, padding=1))
        self.second = weight_norm(nn.Conv2d(16, 16, 3, stride=2, padding=1))
        self.head = weight_norm(nn.Linear(16, 5))

    def forward(self, x: Tensor) -> Tensor:
        x = F.elu(self.second(F.elu(self.first(x))))
        logits: Tensor = self.head(x.mean((2, 3)))
        return logits


class SpectralNormed(nn.Module):
    """The discriminator of a spectrally normalised GAN."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            spectral_norm(nn.Conv2d(3, 8, 3, padding=1)), nn.LeakyReLU(0.1),
            spectral_norm(nn.Conv2d(8, 16, 4, stride=2, padding=1)), nn.LeakyReLU(0.1),
        )  # fmt: skip
        self.head = spectral_norm(nn.Linear(16, 1))

    def forward(self, x: Tensor) -> Tensor:
        score: Tensor = self.head(self.layers(x).sum(dim=(2, 3)))
        return score


class Siamese(nn.Module):
    """One encoder for two images, and a verdict on the distance of what it says."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(),
            nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(64, 24),
        )  # fmt: skip
        self.head = nn.Linear(24, 1)

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        distance = torch.abs(self.encoder(left) - self.encoder(right))
        score: Tensor = self.head(distance)
        return score


class Autoencoder(nn.Module):
    """A variational autoencoder. In eval mode it decodes the mean, in train mode what the given noise makes of it."""

    def __init__(self, latent: int = 6) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(1, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 16, 3, 2, 1), nn.ReLU(), nn.Flatten()
        )
        self.mean = nn.Linear(16 * 16, latent)
        self.log_variance = nn.Linear(16 * 16, latent)
        self.expand = nn.Linear(latent, 16 * 16)
        self.decoder = nn.Sequential(
            nn.ConvTranspose2d(16, 8, 4, 2, 1), nn.ReLU(), nn.ConvTranspose2d(8, 1, 4, 2, 1), nn.Sigmoid()
        )

    def forward(self, x: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        hidden = self.encoder(x)
        mean, log_variance = self.mean(hidden), self.log_variance(hidden)
        latent = mean + torch.exp(0.5 * log_variance) * noise if self.training else mean
        y = self.decoder(F.relu(self.expand(latent)).view(-1, 16, 4, 4))
        divergence = -0.5 * torch.sum(1 + log_variance - mean.pow(2) - log_variance.exp(), dim=1)
        return y, divergence
