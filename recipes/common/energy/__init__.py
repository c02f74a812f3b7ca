"""The analytical model of energy, in multiples of one 16-bit multiply-accumulate."""
