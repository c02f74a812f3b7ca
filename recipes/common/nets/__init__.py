"""Images, a small net, what is counted of nets, and what a net must be like for a function of readers."""
