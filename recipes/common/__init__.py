"""Functions that recipes share: data, small models, meters, the energy model and the contract."""
