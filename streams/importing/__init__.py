"""`postrider recipients import`: from a file to batch records on `recipients.imported`."""
