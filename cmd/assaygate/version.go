package main

import (
	"encoding/json"
	"fmt"
	"runtime"
)

// Stamped by the linker: see the Makefile.
var (
	version = "development"
	commit  = "unknown"
	// Of the commit, in seconds of Unix time. No clock can be before it.
	buildTime = ""
)

type versionCommand struct {
	JSON bool `name:"json" help:"Print JSON."`
}

// Run implements a kong command.
func (c *versionCommand) Run(s *streams) error {
	target := runtime.GOOS + "/" + runtime.GOARCH
	if !c.JSON {
		_, err := fmt.Fprintf(s.out, "assaygate %s (%s, %s, %s)\n", version, commit, runtime.Version(), target)
		return err
	}
	return json.NewEncoder(s.out).Encode(struct {
		Version string `json:"version"`
		Commit  string `json:"commit"`
		Go      string `json:"go"`
		Target  string `json:"target"`
	}{version, commit, runtime.Version(), target})
}
