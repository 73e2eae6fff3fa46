"""What production is asked about, held against what its models were tested on."""
