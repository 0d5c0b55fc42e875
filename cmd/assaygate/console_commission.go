package main

import "github.com/assaygate/assaygate/device/console"

// consoleCommission is what the console's page of that name shows and does.
func (d *daemon) consoleCommission() console.Commission { return console.Commission{} }
