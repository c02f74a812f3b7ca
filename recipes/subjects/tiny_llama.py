"""A small random net in place of that of `smollm2_reference`, for first looks: it has learnt nothing."""

from __future__ import annotations

from recipes.language import smollm2
from recipes.subjects import pretrained

QUALITY, BETTER, TOLERANCE = "loss in nats", "lower", 0.05
EPOCHS = pretrained.EPOCHS
NOT_TIMED = "it stands for a larger net"
MODEL = pretrained.OnTexts(smollm2.tiny, longest=32, pieces=16)
build_model, train, evaluate = MODEL.build_model, MODEL.train, MODEL.evaluate
example_inputs, data_used = MODEL.example_inputs, MODEL.data_used
