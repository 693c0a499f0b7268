"""MoonPay as the sandbox plays it."""
