"""The commands: a file for each command, with the command's name."""
