"""What peers run: code as a team would write it on the tool it chose, tuned as its manual says."""
