"""One promise a module: each yields its violations. `plain` says what needs no second look."""
