"""The latest state of every delivery and the history of every user, folded from the receipts."""
