"""Knowledge distillation: train a net on the softened outputs of a teacher as well as on the labels."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def distillation_loss(
    logits: Tensor,
    teacher_logits: Tensor,
    labels: Tensor,
    *,
    temperature: float = 4.0,
    teacher_fraction: float = 0.7,
) -> Tensor:
    """Return the weighted sum of cross-entropy and softened divergence from the teacher.

    Hinton, Vinyals, Dean, "Distilling the Knowledge in a Neural Network" (arXiv 1503.02531), section 2: the
    divergence is multiplied by the temperature squared, so that its gradient keeps its size.

    Args:
        logits: Of the student, (batch, classes).
        teacher_logits: (batch, classes), without gradient.
        labels: (batch,).
        temperature: Divides both sets of logits before the softmax; above 0.
        teacher_fraction: Weight of the divergence, 0 to 1; the cross-entropy has the rest.
    """
    student = F.log_softmax(logits / temperature, dim=1)
    teacher = F.log_softmax(teacher_logits / temperature, dim=1)
    divergence = F.kl_div(student, teacher, reduction="batchmean", log_target=True)
    return teacher_fraction * temperature**2 * divergence + (1 - teacher_fraction) * F.cross_entropy(
        logits, labels
    )


@torch.inference_mode()
def logits_of(model: nn.Module, images: Tensor, *, batch_size: int = 500) -> Tensor:
    """Return the logits of a net in evaluation mode, (images, classes): once for all epochs of a student."""
    return torch.cat(
        [model(images[first : first + batch_size]) for first in range(0, len(images), batch_size)]
    ).clone()
