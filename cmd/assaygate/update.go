package main

// updateCommand is all about firmware updates of boxes.
type updateCommand struct {
	Repo updateRepo `cmd:"" help:"The repository that boxes take updates from, for who makes releases and who runs a fleet. Example: assaygate update repo init repository"`
}
