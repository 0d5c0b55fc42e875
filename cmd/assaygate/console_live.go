package main

import "github.com/assaygate/assaygate/device/console"

// consoleLive is what the console's page of that name shows and does.
func (d *daemon) consoleLive() console.Live { return console.Live{} }
