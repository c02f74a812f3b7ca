"""From an idea to a reviewed record: drafts, issues, results of others, differences."""
