"""What people and machines write: records, references, results."""
