"""Entries of other catalogues to drafts of records."""
