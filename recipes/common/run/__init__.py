"""What every run of a recipe shares: the contract, the command line, the conditions, the files."""
