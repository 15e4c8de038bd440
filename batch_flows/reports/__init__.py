"""The reports folder and MongoDB's `reports`: files, index, and what each report found."""
