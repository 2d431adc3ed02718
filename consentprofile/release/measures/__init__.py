"""What is measured, one module for each measure: accounts go in one by one, the members of each cell come out."""
