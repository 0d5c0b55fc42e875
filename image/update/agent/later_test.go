package agent

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A release that was good, and that the boot loader gives up at some later start, is not told
// of as installed, and not installed again and again.
func TestFallBackLongAfterTheTrial(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		repository := &simRepository{}
		repository.offer("2.0.0", open("2.0.0"))
		b := newSimBox(t, "1.0.0", repository)
		spoilt := false
		b.starts = func(version string) bool { return version != "2.0.0" || !spoilt }
		stop := b.during(t)
		time.Sleep(5 * time.Hour)
		b.want(t, "B", "2.0.0", Installed)
		b.change(func() { spoilt = true })
		b.reboot <- "the power failed"
		time.Sleep(5 * time.Hour)
		b.want(t, "A", "1.0.0", FellBack)
		if o := b.status().Outcome; o == nil || o.Version != "2.0.0" || !strings.Contains(o.Reason, "was good, and the boot loader went back to version 1.0.0") {
			t.Errorf("the outcome is %+v", o)
		}
		if n := b.installations(); n != 1 {
			t.Errorf("it was installed %d times", n)
		}
		// Another one by hand is none that the boot loader went back to.
		b.change(func() { spoilt = false })
		if err := b.agent.Again(""); err != nil {
			t.Error(err)
		}
		time.Sleep(5 * time.Hour)
		b.want(t, "B", "2.0.0", Installed)
		b.change(func() { b.content["B"] = "2.0.0-mine" })
		b.reboot <- "by hand"
		time.Sleep(time.Hour)
		stop()
		if o := b.outcome(); o.Result != Installed {
			t.Errorf("the outcome is %+v", o)
		}
	})
}

// Asking a repository does not end a trial, nor the light that says so.
func TestPhaseOfATrialWhileRepositoriesAreAsked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		repository := &simRepository{}
		repository.offer("2.0.0", open("2.0.0"))
		b := newSimBox(t, "1.0.0", repository)
		b.judges = func(version string) bool { return version != "2.0.0" }
		stop := b.during(t)
		time.Sleep(5 * time.Hour)
		synctest.Wait()
		asked, _ := repository.traffic()
		for range 4 * 3600 { // an answer takes a second
			if phase := b.status().Phase; phase != OnTrial {
				t.Fatalf("the phase is %q", phase)
			}
			time.Sleep(500 * time.Millisecond)
		}
		stop()
		if now, _ := repository.traffic(); now == asked {
			t.Error("nobody was asked")
		}
	})
}

// A clock that was years ahead does not keep force_after from its time.
func TestSeenWithAClockThatWasAhead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		repository := &simRepository{}
		repository.offer("2.0.0", open("2.0.0"))
		b := newSimBox(t, "1.0.0", repository)
		b.settings.ForceAfter = 10 * time.Hour
		b.busy = func() Busy { return Busy{Sessions: 1} }
		b.files[seenFile] = fmt.Appendf(nil, `{"hash-of-2.0.0": {"version": "2.0.0", "first_seen": %q}}`, time.Now().AddDate(7, 0, 0).Format(time.RFC3339))
		b.live(13 * time.Hour)
		b.want(t, "B", "2.0.0", Installed)
	})
}

// Folders, links and pipes in the place of its files are in nobody's way.
func TestDirectoryWhereThereIsNoFile(t *testing.T) {
	t.Parallel()
	for name, put := range map[string]func(path string) error{
		"a folder": func(path string) error { return os.MkdirAll(filepath.Join(path, "x", "y"), 0o755) },
		"a link":   func(path string) error { return os.Symlink("elsewhere.json", path) },
	} {
		for _, file := range []string{"trial.json", ".trial.json.new"} {
			t.Run(name+" "+file, func(t *testing.T) {
				t.Parallel()
				directory := t.TempDir()
				store, path := Directory(directory), filepath.Join(directory, file)
				if err := put(path); err != nil {
					t.Fatal(err)
				}
				if err := store.Write("trial.json", []byte("x")); err != nil {
					t.Error(err)
				}
				if text, err := store.Read("trial.json"); err != nil || string(text) != "x" {
					t.Errorf("it holds %q, %v", text, err)
				}
				if entries, err := os.ReadDir(directory); err != nil || len(entries) != 1 {
					t.Errorf("there is %v, %v", entries, err)
				}
				if err := store.Remove("trial.json"); err != nil {
					t.Error(err)
				}
				if err := put(filepath.Join(directory, "trial.json")); err != nil {
					t.Fatal(err)
				}
				if err := store.Remove("trial.json"); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// Where both systems have used up their starts, as when the power fails again and again, the boot loader begins anew: with
// the system that is good, and not with the one that fell back.
func TestAnewBeginsWithWhatIsGood(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		repository := &simRepository{}
		repository.offer("2.0.0", open("2.0.0"))
		b := newSimBox(t, "1.0.0", repository)
		b.healthy = func(version string) string { return map[string]string{"2.0.0": "no store"}[version] }
		stop := b.during(t)
		time.Sleep(5 * time.Hour)
		stop()
		b.want(t, "A", "1.0.0", FellBack)
		b.change(func() { b.left = map[string]int{"A": 0, "B": 0} })
		b.uboot()
		b.want(t, "A", "1.0.0", FellBack)
	})
}
