package main

import "github.com/assaygate/assaygate/device/console"

// consoleUpdate is what the console's page of that name shows and does.
func (d *daemon) consoleUpdate() console.Update { return console.Update{} }
