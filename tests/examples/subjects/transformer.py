# A reader's digits transformer: 64 pixels as tokens 0 to 16, dropout, LayerNorm, nn.MultiheadAttention. A
# score is minus the log-likelihood of one digit, less is better.
import sklearn.datasets
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

QUALITY, BETTER = "negative log-likelihood", "lower"
X, y = sklearn.datasets.load_digits(return_X_y=True)
X, y = torch.tensor(X, dtype=torch.long), torch.tensor(y)  # (1797, 64) tokens
Xtr, ytr, Xte, yte = X[:1200], y[:1200], X[1200:], y[1200:]


class Net(nn.Module):
    def __init__(self, d=32):
        super().__init__()
        self.emb, self.pos = nn.Embedding(17, d), nn.Parameter(torch.randn(64, d) * 0.02)
        self.n1, self.n2, self.head = nn.LayerNorm(d), nn.LayerNorm(d), nn.Linear(d, 10)
        self.att = nn.MultiheadAttention(d, 4, dropout=0.1, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(d, 64), nn.GELU(), nn.Dropout(0.1), nn.Linear(64, d))

    def forward(self, t):
        x = self.emb(t) + self.pos
        h = self.n1(x)
        x = x + self.att(h, h, h, need_weights=False)[0]
        return self.head((x + self.mlp(self.n2(x))).mean(1))


def build_model():
    return Net()


def train(model, epochs):
    model.train()
    loader = DataLoader(TensorDataset(Xtr, ytr), 64, shuffle=True)
    opt = torch.optim.AdamW(model.parameters(), 3e-3)
    for _ in range(epochs):
        for xb, yb in loader:
            opt.zero_grad()
            nn.functional.cross_entropy(model(xb), yb).backward()
            opt.step()


def evaluate(model):
    model.eval()
    with torch.no_grad():
        return nn.functional.cross_entropy(model(Xte), yte, reduction="none")
