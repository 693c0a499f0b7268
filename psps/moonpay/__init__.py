"""MoonPay: the crypto on-ramp by its signed widget address. Source: dev.moonpay.com, widget API v1."""
