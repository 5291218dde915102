"""The story that the demo plays: `story` tells and writes it from a seed, `people` answer offers while it plays."""
