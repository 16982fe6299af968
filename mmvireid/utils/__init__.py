"""What several rooms need and no paper names: errors, files, interrupts, precision, processes."""
