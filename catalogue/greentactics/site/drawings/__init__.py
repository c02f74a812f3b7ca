"""Charts and diagrams as SVG, in the colours of the page."""
