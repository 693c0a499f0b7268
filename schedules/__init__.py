"""What happens by the clock: the timetable, its tasks and the services behind them."""
