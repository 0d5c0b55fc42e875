package main

import "github.com/assaygate/assaygate/device/console"

// consoleCaptures is what the console's page of that name shows and does.
func (d *daemon) consoleCaptures() console.Captures { return console.Captures{} }
