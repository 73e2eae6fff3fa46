"""What parts hand to each other, typed. Imports nothing of ours but `cli.errors`; import its modules by name, so that a
change of one concerns just those that use it."""
