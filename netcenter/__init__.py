"""The front door: command line, settings, the pipeline and the embedded servers."""
