"""Makes the classifier's artefact from labelled posts."""
