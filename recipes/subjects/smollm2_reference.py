"""SmolLM2-135M-Instruct on Python's language reference: 134,515,008 parameters, 79 % in linear layers.

It comes trained, so that seeds differ in the texts to calibrate on alone. The embedding, which reads out as
well, is no linear layer: pruning leaves it as it is.
"""

from __future__ import annotations

from recipes.language import smollm2
from recipes.subjects import pretrained

QUALITY, BETTER, TOLERANCE = "loss in nats", "lower", 0.05
EPOCHS = pretrained.EPOCHS
NOT_TIMED = "products of dense matrices take as long with zeros among the weights"
MODEL = pretrained.OnTexts(smollm2.load, longest=96, pieces=21)
build_model, train, evaluate = MODEL.build_model, MODEL.train, MODEL.evaluate
example_inputs, data_used = MODEL.example_inputs, MODEL.data_used
