"""What is measured, a file per kind; each names its contenders and the rows of the table."""
