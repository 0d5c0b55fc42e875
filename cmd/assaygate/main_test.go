package main

import (
	"fmt"
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// asMain makes the test binary behave as assaygate itself: for tests that need
// a process which they can kill.
const asMain = "ASSAYGATE_TEST_MAIN"

// TestMain also gives scripts the command assaygate.
func TestMain(m *testing.M) {
	if part := os.Getenv(plantedPart); part != "" { // "-": in none
		fmt.Fprintln(os.Stderr, runPlanted(part, os.Args[len(os.Args)-1]))
		os.Exit(1)
	}
	if os.Getenv(asMain) == "1" {
		os.Exit(execute(os.Args[1:], os.Stdout, os.Stderr))
	}
	testscript.Main(withBrowser{m}, map[string]func(){"assaygate": main})
}
