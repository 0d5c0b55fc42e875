package main

// stickCommand is root's part of the USB stick on the box, called by its units:
// the gateway reads and writes the stick, and cannot mount one.
type stickCommand struct {
	Mount    stickMount    `cmd:"" help:"Mount a stick for reading. Example: assaygate stick mount /dev/sda1"`
	Unmount  stickUnmount  `cmd:"" help:"Let go of a stick that was pulled. Example: assaygate stick unmount /dev/sda1"`
	Writable stickWritable `cmd:"" help:"Make the stick writable for as long as the request is there. Example: assaygate stick writable"`
}

type stickMount struct {
	Device string `arg:"" help:"The partition, or the whole stick where it has none."`
	At     string `help:"Where to." default:"/run/assaygate/stick"`
	Owner  string `help:"The user who may write to it." default:"assaygate"`
	Shared string `help:"Where its metadata and targets go, for the update agent." default:"/run/assaygate-stick"`
}

type stickUnmount struct {
	Device string `arg:"" help:"What was mounted."`
	At     string `help:"Where it is." default:"/run/assaygate/stick"`
	Shared string `help:"Where its metadata and targets are, for the update agent." default:"/run/assaygate-stick"`
}

type stickWritable struct {
	At      string `help:"Where the stick is." default:"/run/assaygate/stick"`
	Request string `help:"The file that asks." default:"/run/assaygate/stick-write"`
}
