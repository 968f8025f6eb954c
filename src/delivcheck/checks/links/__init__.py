"""Rules about links: whether they can be followed, where they lead, and what they give away."""
