package main

import (
	"errors"
	"fmt"
	"os"
	"text/tabwriter"

	"github.com/assaygate/assaygate/device/profile"
)

// profilesCommand shows the instrument profiles, built in and given.
type profilesCommand struct {
	Directory string `name:"profiles" help:"A directory of own profiles." placeholder:"DIR" type:"existingdir"`

	List  profilesList  `cmd:"" default:"1" help:"All profiles. Example: assaygate profiles list"`
	Show  profilesShow  `cmd:"" help:"One profile, as its file has it. Example: assaygate profiles show sysmex_xn"`
	Check profilesCheck `cmd:"" help:"Every mistake in the file of a profile. Example: assaygate profiles check my_analyser.yaml"`
}

type profilesList struct{}

// Run implements a kong command.
func (*profilesList) Run(parent *profilesCommand, s *streams) error {
	set, err := profile.Load(profile.Options{Directory: parent.Directory})
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "NAME\tPROTOCOL\tINSTRUMENT")
	for _, name := range set.Names() {
		protocol, _ := set.Protocol(name)
		fmt.Fprintf(table, "%s\t%s\t%s\n", name, protocol, set.Title(name))
	}
	return table.Flush()
}

type profilesShow struct {
	Name string `arg:"" help:"The name of the profile."`
}

// Run implements a kong command.
func (c *profilesShow) Run(parent *profilesCommand, s *streams) error {
	set, err := profile.Load(profile.Options{Directory: parent.Directory})
	if err != nil {
		return err
	}
	text, known := set.Source(c.Name)
	if !known {
		return fmt.Errorf("there is no profile %s; see `assaygate profiles list`", c.Name)
	}
	_, err = s.out.Write(text)
	return err
}

type profilesCheck struct {
	Files []string `arg:"" help:"Files of profiles; NAME.yaml holds the profile NAME."`
}

// Run implements a kong command.
func (c *profilesCheck) Run(s *streams) error {
	wrong := 0
	for _, file := range c.Files {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		mistakes, err := profile.Check(file, text)
		if err != nil {
			return err
		}
		for _, m := range mistakes {
			fmt.Fprintln(s.err, m)
		}
		if len(mistakes) == 0 {
			fmt.Fprintf(s.out, "%s: ok\n", file)
		}
		wrong += len(mistakes)
	}
	if wrong > 0 {
		return errors.New(count(wrong, "mistake"))
	}
	return nil
}
