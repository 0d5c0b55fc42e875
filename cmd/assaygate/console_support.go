package main

import "github.com/assaygate/assaygate/device/console"

// consoleSupport is what the console's page of that name shows and does.
func (d *daemon) consoleSupport() console.Support { return console.Support{} }
