"""A sweep that runs elsewhere: started there, looked at, changed, stopped."""
