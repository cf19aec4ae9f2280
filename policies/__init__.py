"""Pure decisions: state and `now` in, a value out. No I/O, no clock, no faust."""
