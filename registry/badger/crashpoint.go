package badger

// crashpoint is where the crash tests end the process; else it is nothing.
var crashpoint = func(string) {}
