"""The inspection graph: what runs before and after the network."""
