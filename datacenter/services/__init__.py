"""What operators can ask of the whole data center: plans, their execution, savings, placement."""
