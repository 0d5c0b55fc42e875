package main

import "github.com/assaygate/assaygate/device/console"

// consoleSetup is what the console's page of that name shows and does.
func (d *daemon) consoleSetup() console.Setup { return console.Setup{} }
