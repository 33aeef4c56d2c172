"""What a config asks for, as plain data: members, rounds, runs, jobs and the paths of their files."""
