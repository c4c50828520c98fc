"""Events as lines of text and as overlays."""
