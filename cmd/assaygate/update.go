package main

// updateCommand is all about firmware updates of boxes.
type updateCommand struct {
	Status  updateStatusCommand  `cmd:"" help:"What runs, what is offered and why it waits, and what became of the last update. Example: assaygate update status"`
	Check   updateCheckCommand   `cmd:"" help:"Ask all repositories now (root). Example: assaygate update check"`
	Install updateInstallCommand `cmd:"" help:"Install a release from a folder, by its signed metadata (root). Example: assaygate update install /run/releases"`
	Confirm updateConfirmCommand `cmd:"" help:"Say of the system that runs that it is good (root). Example: assaygate update confirm"`
	Agent   updateAgentCommand   `cmd:"" hidden:"" help:"The service that updates a box. Example: assaygate update agent"`
	Reboot  updateRebootCommand  `cmd:"" hidden:"" help:"Root's part of starting the box anew for an update. Example: assaygate update reboot"`
	Repo    updateRepo           `cmd:"" help:"The repository that boxes take updates from, for who makes releases and who runs a fleet. Example: assaygate update repo init repository"`
}
