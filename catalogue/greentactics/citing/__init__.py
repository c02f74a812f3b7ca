"""Bibliography entries: identifiers, formats in and out, keys, duplicates, and the file they are kept in."""
