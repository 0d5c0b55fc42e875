package imagetest

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// results are those of the cases, in the order in which they ran.
type results struct {
	rows           []string
	passed, failed int
	began          time.Time
}

// run runs a case, unless it is left out by -run, and says at once how it ended.
func (r *results) run(t *testing.T, name string, test func() error) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		began := time.Now()
		err := test()
		took := time.Since(began).Round(time.Second / 10)
		if err != nil {
			reason, rest, _ := strings.Cut(err.Error(), "\n")
			fmt.Printf("FAIL %s: %s\n", name, reason)
			r.failed++
			r.rows = append(r.rows, fmt.Sprintf("  %-12s %8s  FAILED", name, took))
			t.Fatal(reason + "\n" + rest)
		}
		fmt.Printf("ok %s\n", name)
		r.passed++
		r.rows = append(r.rows, fmt.Sprintf("  %-12s %8s", name, took))
	})
}

// summary tells what each case took.
func (r *results) summary() {
	fmt.Printf("\n%s\n  %-12s %8s\n%d passed, %d failed\n", strings.Join(r.rows, "\n"), "all", time.Since(r.began).Round(time.Second/10), r.passed, r.failed)
}
