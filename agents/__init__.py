"""One stage a file, named by its verb: reads records and rows, yields effects. No faust here."""
