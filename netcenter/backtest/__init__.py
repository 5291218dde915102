"""`backtest`: what the burst detector would have said of series of the past."""
