"""The subcommands of `ltbench`, one module each; heavy imports happen inside them."""
