package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/assaygate/assaygate/device/console/api"
	"github.com/assaygate/assaygate/envelope/spool"
)

// origin names this box in what it exports.
func (c Config) origin() spool.Origin { return spool.Origin{Box: c.Box.Name, Version: version} }

type spoolExport struct {
	Directory string `arg:"" name:"dir" help:"A new or empty directory. Whoever can read it reads patients' data." type:"path"`
}

// exportResult is what export prints as JSON.
type exportResult struct {
	Directory string `json:"directory"`
	spool.Manifest
	Problems []string `json:"problems"`
}

// Run implements a kong command.
func (c *spoolExport) Run(parent *spoolCommand, s *streams) error {
	return parent.with(openToExport, func(ctx context.Context, client *api.Client) error {
		going := newProgress(s.err)
		m, report, err := client.Export(ctx, c.Directory, going.steps())
		going.end()
		if err != nil {
			return err
		}
		err = parent.print(s.out, exportResult{c.Directory, m, report.Problems}, func(w io.Writer) {
			fmt.Fprintf(w, "exported\t%s to %s\n", recordsOf(m), c.Directory)
			fmt.Fprintf(w, "audit\t%d rows\thead %s\n", m.AuditRows, m.AuditHash)
			fmt.Fprintf(w, "signed by\t%s\n", signer(m))
			fmt.Fprintln(w, "These files hold patients' data: keep them as such.")
			for _, problem := range report.Problems {
				fmt.Fprintln(w, "problem:", problem)
			}
		})
		if err == nil && len(report.Problems) > 0 {
			err = errors.New("the export is whole, but records in it were damaged before: see the problems above; spool import takes it with --damaged")
		}
		return err
	})
}

type spoolImport struct {
	Directory string `arg:"" name:"dir" help:"What spool export wrote." type:"path"`
	Key       string `help:"The public key of the box that the records must come from, as its spool status shows it." placeholder:"KEY"`
	Damaged   bool   `help:"Take records that were damaged before they were exported, too."`
}

// Run implements a kong command.
func (c *spoolImport) Run(parent *spoolCommand, s *streams) error {
	terms := spool.Terms{Damage: c.Damaged}
	if c.Key != "" {
		var err error
		if terms.Key, err = spool.ParseKey(c.Key); err != nil {
			return usageError{fmt.Errorf("--key: %w", err)}
		}
	}
	// What is no export makes no store.
	if _, err := spool.ReadManifest(c.Directory, terms.Key); err != nil {
		return err
	}
	directory, _, err := parent.place()
	if err != nil {
		return err
	}
	if !answers(controlSocket(directory)) {
		if err := makeStore(directory); err != nil {
			return err
		}
	}
	var m spool.Manifest
	err = parent.ask(func(ctx context.Context, client *api.Client) (err error) {
		going := newProgress(s.err)
		m, err = client.Import(ctx, c.Directory, terms, going.steps())
		going.end()
		return err
	})
	if errors.Is(err, spool.ErrDamaged) {
		return fmt.Errorf("%w; to take them as they are, say --damaged", err)
	}
	if err != nil {
		return err
	}
	return parent.print(s.out, m, func(w io.Writer) {
		fmt.Fprintf(w, "imported\t%s, exported %s\n", recordsOf(m), shownTime(m.CreatedAt, m.Clock))
		fmt.Fprintf(w, "audit\t%d rows\thead %s\n", m.AuditRows, m.AuditHash)
		fmt.Fprintf(w, "signed by\t%s\n", signer(m))
		if terms.Key == nil {
			fmt.Fprintln(w, "Compare this key with the one that spool status shows on the box from which the records come.")
		}
	})
}

// makeStore makes an empty store where there is none.
func makeStore(directory string) error {
	if spool.Exists(directory) {
		return nil
	}
	settings := spool.Defaults()
	settings.Directory = directory
	store, err := spool.Open(context.Background(), settings, spool.Options{})
	if err != nil {
		return err
	}
	return store.Close()
}

// recordsOf says what an export holds, for people.
func recordsOf(m spool.Manifest) string {
	if m.Messages == 0 {
		return "no message"
	}
	return fmt.Sprintf("%s (sequences %d to %d)", count(m.Messages, "message"), m.FirstSequence, m.LastSequence)
}

func signer(m spool.Manifest) string {
	if m.Box == "" {
		return m.PublicKey
	}
	return fmt.Sprintf("%s\tof box %s", m.PublicKey, cell(m.Box))
}
