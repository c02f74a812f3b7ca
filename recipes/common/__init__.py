"""Functions that recipes share, in folders by subject."""
