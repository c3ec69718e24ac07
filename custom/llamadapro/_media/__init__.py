"""Media between the disk and the network: downloads that can be resumed, and files that are read to be uploaded."""
