"""The product around the decisions: the flow, the command line, the settings, and everything that is done with a log."""
