"""What earlier sparse modules got wrong, one test for each fault: the name says what is right."""
