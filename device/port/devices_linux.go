package port

// Devices lists the serial ports that are there now.
func Devices() ([]Device, error) { return System{}.Devices() }

// Lookup is the Resolver that Open uses where it is given none: it knows the
// stable names of the running system.
func Lookup(name string) (path string, err error) { return System{}.Lookup(name) }
