"""What an installation is struck with, one class a fault; `catalogue` names them all."""
