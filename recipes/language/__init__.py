"""A language model, texts and decoding, for the recipes about language models."""
