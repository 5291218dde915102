"""`netcenter backtest`: runs the burst detector over past series of post counts and scores its alerts."""
