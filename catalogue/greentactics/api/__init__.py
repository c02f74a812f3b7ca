"""The catalogue for programs: JSON, CSV, schemas."""
