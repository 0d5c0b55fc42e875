package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/assaygate/assaygate/device/console/api"
)

type spoolVerify struct{}

// errDamaged makes verify fail where the report, already printed, says what is
// wrong.
var errDamaged = errors.New("the store is damaged: see the problems above")

// Run implements a kong command.
func (*spoolVerify) Run(parent *spoolCommand, s *streams) error {
	return parent.read(func(ctx context.Context, client *api.Client) error {
		going := newProgress(s.err)
		report, err := client.Verify(ctx, going.of("checking"))
		going.end()
		if err != nil {
			return err
		}
		err = parent.print(s.out, report, func(w io.Writer) {
			fmt.Fprintf(w, "checked %d messages and %d audit rows\n", report.Messages, report.AuditRows)
			for _, problem := range report.Problems {
				fmt.Fprintln(w, "problem:", problem)
			}
		})
		if err == nil && len(report.Problems) > 0 {
			err = errDamaged
		}
		return err
	})
}
