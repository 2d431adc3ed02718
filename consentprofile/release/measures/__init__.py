"""What is measured, one module for each measure: events go in as arrays, and who counts where comes out."""
