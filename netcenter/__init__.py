"""The product: the pipeline, the command line, the settings, and the code that works with a log."""
