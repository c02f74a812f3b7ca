"""The catalogue read and checked: files, rules across them, recipes, git."""
