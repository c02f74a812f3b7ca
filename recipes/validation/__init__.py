"""What checks the project's own models; nothing here is a recipe."""
