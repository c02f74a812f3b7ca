# A reader's digits net: residual blocks with a depthwise and a grouped convolution, written as they would
# write it, with a DataLoader, without a word on parts, seeds or steps.
import sklearn.datasets
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

X, y = sklearn.datasets.load_digits(return_X_y=True)
X, y = torch.tensor(X, dtype=torch.float32).view(-1, 1, 8, 8) / 16, torch.tensor(y)
Xtr, ytr, Xte, yte = X[:1200], y[:1200], X[1200:], y[1200:]


class Block(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.dw, self.bn1 = nn.Conv2d(c, c, 3, padding=1, groups=c, bias=False), nn.BatchNorm2d(c)
        self.gc, self.bn2 = nn.Conv2d(c, c, 3, padding=1, groups=4, bias=False), nn.BatchNorm2d(c)
        self.act = nn.ReLU()

    def forward(self, x):
        return self.act(x + self.bn2(self.gc(self.act(self.bn1(self.dw(x))))))


def build_model():
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), Block(16), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 1), nn.BatchNorm2d(32), nn.ReLU(), Block(32),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10),
    )  # fmt: skip


def train(model, epochs):
    model.train()
    loader = DataLoader(TensorDataset(Xtr, ytr), batch_size=64, shuffle=True)
    opt, loss_fn = torch.optim.Adam(model.parameters(), 3e-3), nn.CrossEntropyLoss()
    for _ in range(epochs):
        for xb, yb in loader:
            opt.zero_grad()
            loss_fn(model(xb), yb).backward()
            opt.step()


def evaluate(model):
    model.eval()
    with torch.no_grad():
        return model(Xte).argmax(1) == yte
